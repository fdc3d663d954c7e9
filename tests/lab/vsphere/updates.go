package main

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	vimxml "github.com/vmware/govmomi/vim25/xml"
)

// Waiting for updates is ours: the simulator walks all objects for each single change, has no versions,
// cuts nothing into pages, and does not notice that a waiter has gone.

const together = 20 * time.Millisecond // changes that come within this are told together

// filter is what a collector looks at, and what it told of it last: object, property, value as XML.
type filter struct {
	ref    moref
	spec   types.PropertyFilterSpec
	ways   map[string]bool // properties that lead from object to object
	told   map[moref]map[string]string
	unread bool
}

// collector is a property collector of one session.
type collector struct {
	mu      sync.Mutex // one waiter at a time
	filters []*filter
	version int
	last    string // the reply that made this version
	rest    []told
	cancel  chan struct{}

	changed map[moref]bool // guarded by the hub, as the next
	moved   bool           // objects came, went or moved
	signal  chan struct{}
}

// told is one object's part of an update.
type told struct {
	filter, obj moref
	kind        string
	changes     string
}

// hub hears of each change from the simulator.
type hub struct {
	sync.Mutex
	collectors map[string]*collector
}

var changes = &hub{collectors: map[string]*collector{}}

func (*hub) Reference() moref { return moref{Type: "Lab", Value: "hub"} }

func (h *hub) PutObject(o mo.Reference) {
	if _, entity := o.(mo.Entity); entity {
		h.note(o.Reference(), func(*filter) bool { return true })
	}
}

func (h *hub) UpdateObject(o mo.Reference, set []types.PropertyChange) {
	h.note(o.Reference(), func(f *filter) bool {
		for _, change := range set {
			if f.ways[change.Name] {
				return true
			}
		}
		return false
	})
}

func (h *hub) RemoveObject(ref moref) { h.note(ref, func(*filter) bool { return false }) }

func (h *hub) note(ref moref, leads func(*filter) bool) {
	h.Lock()
	defer h.Unlock()
	for _, k := range h.collectors {
		k.changed[ref] = true
		for _, f := range k.filters {
			k.moved = k.moved || leads(f)
		}
		k.wake()
	}
}

func (k *collector) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// viewed is a view whose list was changed.
func (h *hub) viewed() {
	h.Lock()
	defer h.Unlock()
	for _, k := range h.collectors {
		k.moved = true
		k.wake()
	}
}

func (h *hub) of(session string, ref moref) *collector {
	h.Lock()
	defer h.Unlock()
	key := session + " " + ref.Value
	if h.collectors[key] == nil {
		h.collectors[key] = &collector{
			changed: map[moref]bool{}, signal: make(chan struct{}, 1), cancel: make(chan struct{}, 1),
		}
	}
	return h.collectors[key]
}

// forget drops a collector, or all of a session.
func (h *hub) forget(prefix string) {
	h.Lock()
	defer h.Unlock()
	for key := range h.collectors {
		if strings.HasPrefix(key, prefix) {
			delete(h.collectors, key)
		}
	}
}

var filterRef = regexp.MustCompile(`<returnval type="PropertyFilter"[^>]*>([^<]+)<`)

// collecting keeps what we must know of the calls about collectors, which the simulator answers.
func (s *server) collecting(w http.ResponseWriter, c *call) {
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, c.again(c.data))
	m, err := simulator.UnmarshalBody(types.TypeFunc(), c.data)
	if err == nil && rec.Code == 200 {
		switch b := m.Body.(type) {
		case *types.CreateFilter:
			ref := moref{Type: "PropertyFilter", Value: filterRef.FindStringSubmatch(rec.Body.String())[1]}
			f := &filter{ref: ref, spec: b.Spec, ways: map[string]bool{}, unread: true}
			for _, set := range b.Spec.ObjectSet {
				f.follow(set.SelectSet)
			}
			k := changes.of(c.session(), m.This)
			changes.Lock()
			k.filters = append(k.filters, f)
			k.wake()
			changes.Unlock()
		case *types.DestroyPropertyFilter:
			changes.Lock()
			for _, k := range changes.collectors {
				for i, f := range k.filters {
					if f.ref == m.This {
						k.filters = append(k.filters[:i:i], k.filters[i+1:]...)
						break
					}
				}
			}
			changes.Unlock()
		case *types.DestroyPropertyCollector:
			changes.forget(c.session() + " " + m.This.Value)
		case *types.CancelWaitForUpdates:
			select {
			case changes.of(c.session(), m.This).cancel <- struct{}{}:
			default:
			}
		case *types.Logout:
			changes.forget(c.session())
		default:
			changes.viewed()
		}
	}
	copyReply(w, rec)
}

// collectors are the calls that collecting is about.
var collectors = map[string]bool{
	"CreateFilter": true, "DestroyPropertyFilter": true, "DestroyPropertyCollector": true, "Logout": true,
	"CancelWaitForUpdates": true, "ModifyListView": true, "ResetListView": true,
}

func (f *filter) follow(ways []types.BaseSelectionSpec) {
	for _, way := range ways {
		if t, ok := way.(*types.TraversalSpec); ok {
			f.ways[t.Path] = true
			f.follow(t.SelectSet)
		}
	}
}

// content is an object as RetrievePropertiesEx gives it.
type content struct {
	Obj struct {
		Type  string `xml:"type,attr"`
		Value string `xml:",chardata"`
	} `xml:"obj"`
	PropSet []struct {
		Name string `xml:"name"`
		All  string `xml:",innerxml"`
	} `xml:"propSet"`
}

// read asks the simulator in the client's session; what it refuses is passed on.
func (s *server) read(c *call, this moref, spec types.PropertyFilterSpec) ([]content, *httptest.ResponseRecorder) {
	req := &types.RetrievePropertiesEx{This: this, SpecSet: []types.PropertyFilterSpec{spec}}
	data, _ := vimxml.Marshal(soap.Envelope{Body: &methods.RetrievePropertiesExBody{Req: req}})
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, c.again(data))
	var answer struct {
		Objects []content `xml:"Body>RetrievePropertiesExResponse>returnval>objects"`
	}
	if rec.Code != 200 || xml.Unmarshal(rec.Body.Bytes(), &answer) != nil {
		return nil, rec
	}
	return answer.Objects, nil
}

// gather finds what is new since it was told last.
func (s *server) gather(c *call, this moref, k *collector) *httptest.ResponseRecorder {
	changes.Lock()
	changed, moved := k.changed, k.moved
	k.changed, k.moved = map[moref]bool{}, false
	filters := append([]*filter{}, k.filters...)
	changes.Unlock()
	for _, f := range filters {
		spec, whole := f.spec, moved || f.unread
		if !whole {
			spec.ReportMissingObjectsInResults = types.NewBool(true)
			spec.ObjectSet = nil
			for ref := range changed {
				if f.told[ref] != nil {
					spec.ObjectSet = append(spec.ObjectSet, types.ObjectSpec{Obj: ref})
				}
			}
			if spec.ObjectSet == nil {
				continue
			}
		}
		found, refused := s.read(c, this, spec)
		if refused != nil {
			return refused
		}
		if f.unread {
			f.told, f.unread = map[moref]map[string]string{}, false
		}
		k.rest = append(k.rest, f.compare(found, spec.ObjectSet, whole)...)
	}
	return nil
}

// compare notes what was found and says what is new in it.
func (f *filter) compare(found []content, asked []types.ObjectSpec, whole bool) []told {
	var news []told
	there := map[moref]bool{}
	for _, each := range found {
		ref := moref{Type: each.Obj.Type, Value: each.Obj.Value}
		there[ref] = true
		now, before := map[string]string{}, f.told[ref]
		said := ""
		for _, p := range each.PropSet {
			now[p.Name] = p.All[strings.Index(p.All, "</name>")+len("</name>"):]
			if was, known := before[p.Name]; !known || was != now[p.Name] {
				said += "<changeSet><name>" + p.Name + "</name><op>assign</op>" + now[p.Name] + "</changeSet>"
			}
		}
		for name := range before {
			if _, still := now[name]; !still {
				said += "<changeSet><name>" + name + "</name><op>assign</op></changeSet>"
			}
		}
		f.told[ref] = now
		if before == nil {
			news = append(news, told{f.ref, ref, "enter", said})
		} else if said != "" {
			news = append(news, told{f.ref, ref, "modify", said})
		}
	}
	gone := func(ref moref) {
		if !there[ref] {
			delete(f.told, ref)
			news = append(news, told{f.ref, ref, "leave", ""})
		}
	}
	if whole {
		for ref := range f.told {
			gone(ref)
		}
		return news
	}
	for _, each := range asked {
		gone(each.Obj)
	}
	return news
}

// wait answers WaitForUpdatesEx.
func (s *server) wait(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	req := m.Body.(*types.WaitForUpdatesEx)
	if _, refused := s.read(c, m.This, types.PropertyFilterSpec{}); refused != nil {
		copyReply(w, refused) // no such collector in this session
		return
	}
	k := changes.of(c.session(), m.This)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch req.Version {
	case "":
		for _, f := range k.filters {
			f.unread = true
		}
		k.version, k.rest = 0, nil
	case strconv.Itoa(k.version):
	case strconv.Itoa(k.version - 1): // the last reply was lost
		reply(w, 200, k.last)
		return
	default:
		refuse(w, new(types.InvalidCollectorVersion))
		return
	}
	s.tell(w, c, k, req)
}

// tell replies once there is something to say, or it is time.
func (s *server) tell(w http.ResponseWriter, c *call, k *collector, req *types.WaitForUpdatesEx) {
	var late <-chan time.Time
	most := 0
	if o := req.Options; o != nil {
		most = int(o.MaxObjectUpdates)
		if o.MaxWaitSeconds != nil {
			late = time.After(time.Duration(*o.MaxWaitSeconds) * time.Second)
		}
	}
	s.mu.Lock()
	ended := s.sessions[c.session()]
	s.mu.Unlock()
	for {
		if len(k.rest) == 0 {
			if refused := s.gather(c, req.This, k); refused != nil {
				copyReply(w, refused)
				return
			}
		}
		if len(k.rest) > 0 || req.Version == "" {
			k.version++
			k.last = k.page(most)
			reply(w, 200, k.last)
			return
		}
		select {
		case <-k.signal:
			time.Sleep(together)
		case <-late:
			reply(w, 200, `<WaitForUpdatesExResponse xmlns="urn:vim25"/>`)
			return
		case <-ended:
			refuse(w, newFault("NotAuthenticated", req.This))
			return
		case <-k.cancel:
			refuse(w, new(types.RequestCanceled))
			return
		case <-c.http.Context().Done():
			return // what is new stays for the next one
		}
	}
}

// page is the next reply, of so many objects at most; 0: of all.
func (k *collector) page(most int) string {
	cut := len(k.rest)
	if most > 0 && most < cut {
		cut = most
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<WaitForUpdatesExResponse xmlns="urn:vim25"><returnval><version>%d</version>`, k.version)
	for i, each := range k.rest[:cut] {
		if i == 0 || k.rest[i-1].filter != each.filter {
			fmt.Fprintf(&b, `<filterSet><filter type="PropertyFilter">%s</filter>`, each.filter.Value)
		}
		fmt.Fprintf(&b, `<objectSet><kind>%s</kind><obj type="%s">%s</obj>%s</objectSet>`,
			each.kind, each.obj.Type, each.obj.Value, each.changes)
		if i == cut-1 || k.rest[i+1].filter != each.filter {
			b.WriteString(`</filterSet>`)
		}
	}
	k.rest = k.rest[cut:]
	fmt.Fprintf(&b, `<truncated>%t</truncated></returnval></WaitForUpdatesExResponse>`, len(k.rest) > 0)
	return b.String()
}
