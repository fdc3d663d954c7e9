package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// rule says what befalls the calls of a method ("*": of any); the first that fits is applied.
type rule struct {
	ID       int
	Method   string // as in SOAP: PowerOnVM_Task; ServiceVersions is GET /sdk/vimServiceVersions.xml
	Kind     string // one of kinds
	Skip     int    // so many calls go by first
	N        int    // then so many are hit; 0: all
	MS       int    // waits before whatever the kind does
	Status   int    // kind status: of HTTP
	Fault    string // kinds fault and taskfault: the name of a fault of vim25
	Text     string // kind question: what is asked
	Hits     int
	released chan struct{} // closed when the rule is removed
}

// kinds are what may happen to a call.
var kinds = map[string]string{
	"delay":     "answered MS later",
	"status":    "answered with an HTTP status, not done",
	"drop":      "connection closed, not done",
	"dropafter": "done, then the connection is closed: the reply is lost",
	"hold":      "no answer, not done, until the rule is removed or the client is gone",
	"holdafter": "done, but no answer until the rule is removed or the client is gone",
	"ignore":    "answered, but nothing happens: the guest does not react",
	"fault":     "fails at once with Fault",
	"taskfault": "the task ends with Fault",
	"taskhold":  "the task stays at half way until the rule is removed or it is cancelled",
	"taskdelay": "the task stays at half way for MS, or until it is cancelled",
	"question":  "the task asks (runtime.question) and goes on once answered",
}

// count counts a call and finds its rule.
func (s *server) count(method string) *rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	for _, r := range s.rules {
		if r.Method != "*" && r.Method != method || r.N > 0 && r.Hits == r.N {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		r.Hits++
		return r
	}
	return nil
}

// disturbed answers, or not, as the rule of the call says.
func (s *server) disturbed(w http.ResponseWriter, c *call) {
	if c.rule.Kind != "taskdelay" {
		time.Sleep(time.Duration(c.rule.MS) * time.Millisecond)
	}
	switch c.rule.Kind {
	case "status":
		w.WriteHeader(c.rule.Status)
	case "drop":
		hangUp(w)
	case "dropafter":
		s.answer(httptest.NewRecorder(), c)
		hangUp(w)
	case "hold":
		if c.held() {
			s.answer(w, c)
		}
	case "holdafter":
		rec := httptest.NewRecorder()
		s.answer(rec, c)
		if c.held() {
			copyReply(w, rec)
		}
	case "ignore":
		reply(w, 200, "<"+c.name+`Response xmlns="urn:vim25"/>`)
	case "fault":
		about := vim25.ServiceInstance
		if m, err := simulator.UnmarshalBody(types.TypeFunc(), c.data); err == nil {
			about = m.This
		}
		refuse(w, newFault(c.rule.Fault, about))
	default:
		s.answer(w, c)
	}
}

// held waits; false when the client is gone first.
func (c *call) held() bool {
	select {
	case <-c.rule.released:
		time.Sleep(together) // who went just before is noticed
		return c.http.Context().Err() == nil
	case <-c.http.Context().Done():
		return false
	}
}

func hangUp(w http.ResponseWriter) {
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}
