package main

import (
	"bytes"
	"context"
	"fmt"
	"io/ioutil"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

type moref = types.ManagedObjectReference

// server stands in front of the simulator's HTTP handler.
type server struct {
	*shape
	next   http.Handler
	ctx    *simulator.Context // for what we do ourselves
	folder *simulator.Folder  // of all VMs
	world  sync.Mutex         // one change of the inventory at a time

	mu       sync.Mutex // guards all below
	rules    []*rule
	calls    map[string]int
	sessions map[string]chan struct{} // closed when ended from outside
	busy     map[moref]*task          // the running task of a VM
	guests   map[moref]guest
	pages    map[string]page
	held     map[string]bool            // privileges of the user; nil: all
	heldAt   map[string]map[string]bool // those held on single objects beside, by their ids
	hidden   map[string]bool            // objects that the user may not read
	numbers  int
}

func newServer(s *shape) *server {
	session := &simulator.Session{
		UserSession: types.UserSession{Key: uuid.New().String(), UserName: "lab"},
		Registry:    simulator.NewRegistry(),
	}
	return &server{
		shape: s, calls: map[string]int{}, sessions: map[string]chan struct{}{}, busy: map[moref]*task{},
		guests: map[moref]guest{}, pages: map[string]page{},
		ctx: &simulator.Context{Context: context.Background(), Session: session, Map: simulator.Map},
	}
}

// call is one request of a client.
type call struct {
	name string
	data []byte
	http *http.Request
	rule *rule
}

// again is the request anew, for one more pass through the simulator.
func (c *call) again(data []byte) *http.Request {
	r := c.http.Clone(c.http.Context())
	r.Body = ioutil.NopCloser(bytes.NewReader(data))
	r.ContentLength = int64(len(data))
	return r
}

func (c *call) session() string {
	if cookie, err := c.http.Cookie(soap.SessionCookieName); err == nil {
		return cookie.Value
	}
	return ""
}

var bodyName = regexp.MustCompile(`<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)`)

const versions = "ServiceVersions" // how GET /sdk/vimServiceVersions.xml is named in rules and counts

// ServeHTTP counts, applies the rule of the call, if any, and answers.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/lab/") {
		s.control(w, r)
		return
	}
	data, _ := ioutil.ReadAll(r.Body)
	c := &call{name: versions, data: data, http: r}
	if found := bodyName.FindSubmatch(data); found != nil {
		c.name = string(found[1])
	} else if !strings.HasSuffix(r.URL.Path, "vimServiceVersions.xml") {
		c.name = "other"
	}
	c.rule = s.count(c.name)
	time.Sleep(time.Duration(s.Wait) * time.Millisecond)
	if c.rule != nil {
		s.disturbed(w, c)
		return
	}
	s.answer(w, c)
}

func (s *server) answer(w http.ResponseWriter, c *call) {
	switch {
	case c.name == "WaitForUpdatesEx":
		s.wait(w, c)
	case c.name == "RetrievePropertiesEx":
		s.retrieve(w, c)
	case c.name == "ContinueRetrievePropertiesEx", c.name == "CancelRetrievePropertiesEx":
		s.more(w, c)
	case c.name == "HasPrivilegeOnEntities":
		s.holds(w, c)
	case c.name == "FindByUuid":
		s.finding(w, c)
	case collectors[c.name]:
		s.collecting(w, c)
	case c.name == "Fetch":
		s.fetch(w, c)
	case c.name == "Login":
		s.next.ServeHTTP(w, c.again(c.data))
		s.remember(w.Header())
	case c.name == "CancelTask":
		s.cancelling(w, c)
	case strings.HasSuffix(c.name, "_Task"), immediate[c.name] != nil:
		s.own(w, c)
	default:
		s.next.ServeHTTP(w, c.again(c.data))
	}
}

// fetch reads one property; the simulator stumbles over one that is unset.
func (s *server) fetch(w http.ResponseWriter, c *call) {
	defer func() {
		if recover() != nil {
			reply(w, 200, `<FetchResponse xmlns="urn:vim25"/>`)
		}
	}()
	s.next.ServeHTTP(w, c.again(c.data))
}

// cancelling is the simulator's, for who may; what is not there is the simulator's to refuse, too.
func (s *server) cancelling(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	if fault := s.forbidden(m); fault != nil && simulator.Map.Get(m.This) != nil {
		refuse(w, fault)
		return
	}
	s.next.ServeHTTP(w, c.again(c.data))
}

// own answers what we do ourselves; a missing session or object is the simulator's to refuse.
func (s *server) own(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	if simulator.Map.Get(m.This) == nil {
		s.next.ServeHTTP(w, c.again(c.data))
		return
	}
	if fault := s.forbidden(m); fault != nil {
		refuse(w, fault)
		return
	}
	if f := immediate[c.name]; f != nil {
		if fault := f(s, m); fault != nil {
			refuse(w, fault)
			return
		}
		reply(w, 200, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"/>`, c.name))
		return
	}
	t := s.begin(m, c.rule)
	reply(w, 200, fmt.Sprintf(`<%[1]sResponse xmlns="urn:vim25"><returnval type="Task">%[2]s</returnval></%[1]sResponse>`,
		c.name, t.Self.Value))
}

const currentTime = `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>` +
	`<CurrentTime xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime></Body></Envelope>`

// admitted is the call decoded; nil when it is nonsense or without a session, which the simulator says.
func (s *server) admitted(w http.ResponseWriter, c *call) *simulator.Method {
	m, err := simulator.UnmarshalBody(types.TypeFunc(), c.data)
	if err == nil && s.loggedIn(c) {
		return m
	}
	s.next.ServeHTTP(w, c.again(c.data))
	return nil
}

func (s *server) loggedIn(c *call) bool {
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, c.again([]byte(currentTime)))
	return rec.Code == 200
}

// remember keeps the session that a login made.
func (s *server) remember(h http.Header) {
	for _, cookie := range (&http.Response{Header: h}).Cookies() {
		if cookie.Name == soap.SessionCookieName {
			s.mu.Lock()
			s.sessions[cookie.Value] = make(chan struct{})
			s.mu.Unlock()
		}
	}
}

// endSessions is the administrator who ends all sessions; who waits for updates is told at once.
func (s *server) endSessions() {
	s.mu.Lock()
	ended := s.sessions
	s.sessions = map[string]chan struct{}{}
	s.mu.Unlock()
	for key, told := range ended {
		simulator.Map.SessionManager().TerminateSession(s.ctx, &types.TerminateSession{SessionId: []string{key}})
		changes.forget(key)
		close(told)
	}
}

func copyReply(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

func reply(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`, body)
}

// refuse answers with a SOAP fault.
func refuse(w http.ResponseWriter, fault types.BaseMethodFault) {
	name := kindOf(fault)
	var detail bytes.Buffer
	start := xml.StartElement{Name: xml.Name{Local: name + "Fault"}, Attr: []xml.Attr{
		{Name: xml.Name{Local: "xmlns"}, Value: "urn:" + vim25.Namespace},
		{Name: xml.Name{Local: "xsi:type"}, Value: name},
	}}
	_ = xml.NewEncoder(&detail).EncodeElement(fault, start)
	reply(w, 500, fmt.Sprintf(`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>`+
		`<detail>%s</detail></soapenv:Fault>`, name, detail.String()))
}

func kindOf(fault types.BaseMethodFault) string {
	return reflect.TypeOf(fault).Elem().Name()
}

// newFault makes a fault of vim25 by its name; where it must name an object, it names this one.
func newFault(name string, about moref) types.BaseMethodFault {
	t, ok := types.TypeFunc()(name)
	if !ok {
		return nil
	}
	v := reflect.New(t)
	fault, ok := v.Interface().(types.BaseMethodFault)
	if ok {
		complete(v.Elem(), about)
	}
	return fault
}

// complete fills what clients cannot read when it is empty.
func complete(v reflect.Value, about moref) {
	for i := 0; i < v.NumField(); i++ {
		if !v.Field(i).CanInterface() {
			continue
		}
		switch field := v.Field(i).Addr().Interface().(type) {
		case *moref:
			*field = about
		case *types.LocalizedMethodFault:
			field.Fault = new(types.SystemError)
		case *types.VirtualMachinePowerState:
			*field = types.VirtualMachinePowerStatePoweredOff
		default:
			if v.Field(i).Kind() == reflect.Struct {
				complete(v.Field(i), about)
			}
		}
	}
}
