package main

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// An object on which the user lacks System.Read is named in a listing, and each of its properties is told to be
// missing; a search for it finds nothing.

// hide says which objects the user may not read; an empty list: none.
func (s *server) hide(body *json.Decoder) (interface{}, error) {
	var ids []string
	if err := body.Decode(&ids); err != nil {
		return nil, err
	}
	s.hidden = map[string]bool{}
	for _, id := range ids {
		s.hidden[id] = true
	}
	return nil, nil
}

func (s *server) isHidden(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hidden[id]
}

var (
	objectOf = regexp.MustCompile(`<obj type="(\w+)"[^>]*>([^<]*)</obj>`)
	propName = regexp.MustCompile(`<propSet><name>([^<]*)</name>`)
)

// masked is one `objects` element of a reply as the user may see it.
func (s *server) masked(element string) string {
	obj := objectOf.FindStringSubmatch(element)
	if obj == nil || !s.isHidden(obj[2]) {
		return element
	}
	masked := "<objects>" + obj[0]
	for _, name := range propName.FindAllStringSubmatch(element, -1) {
		masked += `<missingSet><path>` + name[1] + `</path><fault><fault xsi:type="NoPermission"><object type="` +
			obj[1] + `">` + obj[2] + `</object><privilegeId>System.Read</privilegeId></fault>` +
			`<localizedMessage>Permission to perform this operation was denied.</localizedMessage></fault></missingSet>`
	}
	return masked + "</objects>"
}

// finding is FindByUuid for who may not read everything.
func (s *server) finding(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	req, ok := m.Body.(*types.FindByUuid)
	if ok && req.VmSearch {
		for _, each := range simulator.Map.All("VirtualMachine") {
			vm := vmOf(each.Reference())
			if vm != nil && vm.Config.InstanceUuid == req.Uuid && s.isHidden(vm.Self.Value) {
				reply(w, 200, `<FindByUuidResponse xmlns="urn:vim25"/>`)
				return
			}
		}
	}
	s.next.ServeHTTP(w, c.again(c.data))
}
