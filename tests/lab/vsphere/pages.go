package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// page is what of an answer was not sent yet; the simulator sends all at once, whatever maxObjects says.
type page struct {
	session string
	objects []string
	most    int
}

var maxObjects = regexp.MustCompile(`<(?:\w+:)?maxObjects[^>]*>(\d+)<`)

// retrieve answers RetrievePropertiesEx in pages of maxObjects.
func (s *server) retrieve(w http.ResponseWriter, c *call) {
	found := maxObjects.FindSubmatch(c.data)
	if found == nil {
		s.next.ServeHTTP(w, c.again(c.data))
		return
	}
	var most int
	_, _ = fmt.Sscan(string(found[1]), &most)
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, c.again(c.data))
	body := rec.Body.String()
	begin, end := strings.Index(body, "<objects>"), strings.LastIndex(body, "</objects>")
	if rec.Code != 200 || most < 1 || begin < 0 {
		copyReply(w, rec)
		return
	}
	objects := strings.SplitAfter(body[begin:end], "</objects>")
	objects[len(objects)-1] += "</objects>"
	for i := range objects {
		objects[i] = s.masked(objects[i])
	}
	s.send(w, "RetrievePropertiesEx", page{c.session(), objects, most})
}

// more answers ContinueRetrievePropertiesEx and CancelRetrievePropertiesEx.
func (s *server) more(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	token := ""
	switch b := m.Body.(type) {
	case *types.ContinueRetrievePropertiesEx:
		token = b.Token
	case *types.CancelRetrievePropertiesEx:
		token = b.Token
	}
	s.mu.Lock()
	p, known := s.pages[token]
	delete(s.pages, token)
	s.mu.Unlock()
	switch {
	case !known || p.session != c.session():
		refuse(w, &types.InvalidArgument{InvalidProperty: "token"})
	case c.name == "CancelRetrievePropertiesEx":
		reply(w, 200, `<CancelRetrievePropertiesExResponse xmlns="urn:vim25"/>`)
	default:
		s.send(w, c.name, p)
	}
}

func (s *server) send(w http.ResponseWriter, method string, p page) {
	token, cut := "", len(p.objects)
	if p.most < cut {
		cut = p.most
		s.mu.Lock()
		s.numbers++
		name := fmt.Sprint(s.numbers)
		s.pages[name] = page{p.session, p.objects[cut:], p.most}
		s.mu.Unlock()
		token = "<token>" + name + "</token>"
	}
	reply(w, 200, fmt.Sprintf(`<%[1]sResponse xmlns="urn:vim25"><returnval>%[2]s%[3]s</returnval></%[1]sResponse>`,
		method, token, strings.Join(p.objects[:cut], "")))
}
