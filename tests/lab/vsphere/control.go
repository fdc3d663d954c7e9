package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// controls are what the test asks for beside the API; a value or an error comes back.
var controls = map[string]func(*server, *json.Decoder) (interface{}, error){
	"POST /lab/fault": (*server).addRule,
	"GET /lab/fault": func(s *server, _ *json.Decoder) (interface{}, error) {
		hits := map[int]int{}
		for _, r := range s.rules {
			hits[r.ID] = r.Hits
		}
		return hits, nil
	},
	"DELETE /lab/fault":    (*server).dropRules,
	"POST /lab/privileges": (*server).setPrivileges,
	"POST /lab/hidden":     (*server).hide,
	"GET /lab/calls":       func(s *server, _ *json.Decoder) (interface{}, error) { return s.calls, nil },
	"DELETE /lab/calls": func(s *server, _ *json.Decoder) (interface{}, error) {
		s.calls = map[string]int{}
		return nil, nil
	},
	"POST /lab/guest": func(s *server, body *json.Decoder) (interface{}, error) {
		var q struct {
			VM string
			guest
		}
		err := body.Decode(&q)
		s.guests[moref{Type: "VirtualMachine", Value: q.VM}] = q.guest
		return nil, err
	},
	"GET /lab/sessions": func(s *server, _ *json.Decoder) (interface{}, error) { return len(s.sessions), nil },
}

// unlocked are those that take the locks they need.
var unlocked = map[string]func(*server, *json.Decoder) (interface{}, error){
	"POST /lab/set":  (*server).setProperties,
	"POST /lab/host": (*server).connectHost,
	"GET /lab/inventory": func(s *server, _ *json.Decoder) (interface{}, error) {
		s.world.Lock()
		defer s.world.Unlock()
		return inventory(), nil
	},
	"DELETE /lab/sessions": func(s *server, _ *json.Decoder) (interface{}, error) {
		s.endSessions()
		return nil, nil
	},
	"DELETE /lab/tasks": func(s *server, _ *json.Decoder) (interface{}, error) {
		forgetTasks()
		return nil, nil
	},
}

func (s *server) control(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	f, locks := controls[name]
	if !locks {
		f = unlocked[name]
	}
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if locks {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	answer, err := f(s, json.NewDecoder(r.Body))
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *server) addRule(body *json.Decoder) (interface{}, error) {
	r := &rule{released: make(chan struct{})}
	if err := body.Decode(r); err != nil {
		return nil, err
	}
	if kinds[r.Kind] == "" {
		return nil, fmt.Errorf("no such kind: %s", r.Kind)
	}
	if strings.HasSuffix(r.Kind, "fault") && newFault(r.Fault, moref{}) == nil {
		return nil, fmt.Errorf("no such fault: %s", r.Fault)
	}
	s.numbers++
	r.ID = s.numbers
	s.rules = append(s.rules, r)
	return r.ID, nil
}

// dropRules removes the one named, or all, and releases what they hold.
func (s *server) dropRules(body *json.Decoder) (interface{}, error) {
	id := 0
	_ = body.Decode(&id)
	var kept []*rule
	for _, r := range s.rules {
		if id == 0 || r.ID == id {
			close(r.released)
		} else {
			kept = append(kept, r)
		}
	}
	s.rules = kept
	return nil, nil
}

// setProperties is a change from outside, which is told to who waits.
func (s *server) setProperties(body *json.Decoder) (interface{}, error) {
	var q struct {
		Type, Value string
		Set         map[string]json.RawMessage
	}
	if err := body.Decode(&q); err != nil {
		return nil, err
	}
	obj := simulator.Map.Get(moref{Type: q.Type, Value: q.Value})
	if obj == nil {
		return nil, fmt.Errorf("no such object: %s %s", q.Type, q.Value)
	}
	values := map[string]types.AnyType{}
	for path, raw := range q.Set {
		now, err := field(reflect.ValueOf(obj), path)
		if err != nil {
			return nil, err
		}
		v := reflect.New(now.Type())
		if err := json.Unmarshal(raw, v.Interface()); err != nil {
			return nil, err
		}
		values[path] = v.Elem().Interface()
	}
	s.world.Lock()
	defer s.world.Unlock()
	update(obj.Reference(), values)
	for path, value := range values {
		if now, err := field(reflect.ValueOf(obj), path); err != nil || !reflect.DeepEqual(now.Interface(), value) {
			return nil, fmt.Errorf("%s: it cannot be set", path)
		}
	}
	return nil, nil
}

// connectHost is a host that vCenter hears no more of, or hears of again; its VMs go on meanwhile.
func (s *server) connectHost(body *json.Decoder) (interface{}, error) {
	var q struct {
		Host string
		Lost bool
	}
	if err := body.Decode(&q); err != nil {
		return nil, err
	}
	host, ok := simulator.Map.Get(moref{Type: "HostSystem", Value: q.Host}).(*simulator.HostSystem)
	if !ok {
		return nil, fmt.Errorf("no such host: %s", q.Host)
	}
	state, vms := types.HostSystemConnectionStateConnected, types.VirtualMachineConnectionStateConnected
	if q.Lost {
		state, vms = types.HostSystemConnectionStateNotResponding, types.VirtualMachineConnectionStateDisconnected
	}
	s.world.Lock()
	defer s.world.Unlock()
	update(host.Self, map[string]types.AnyType{"runtime.connectionState": state, "summary.runtime.connectionState": state})
	for _, vm := range host.Vm {
		update(vm, map[string]types.AnyType{"runtime.connectionState": vms, "summary.runtime.connectionState": vms})
	}
	return nil, nil
}

// field is the value of a property such as summary.quickStats.overallCpuUsage.
func field(v reflect.Value, path string) (reflect.Value, error) {
	for _, p := range strings.Split(path, ".") {
		for v.Kind() == reflect.Ptr || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return v, fmt.Errorf("%s: no such property, or it is unset", path)
		}
		if v = v.FieldByName(strings.ToUpper(p[:1]) + p[1:]); !v.IsValid() {
			return v, fmt.Errorf("%s: no such property", path)
		}
	}
	return v, nil
}

// inventory names the objects of each type: {"HostSystem": {"esxi-1-1": "host-21"}}.
func inventory() map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, e := range simulator.Map.All("") {
		ref, name := e.Reference(), e.Entity().Name
		if name == "" {
			continue
		}
		if found[ref.Type] == nil {
			found[ref.Type] = map[string]string{}
		}
		found[ref.Type][name] = ref.Value
	}
	return found
}

// forgetTasks is the time after which a vCenter knows no more of tasks that ended.
func forgetTasks() {
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	manager := simulator.Map.Get(*content.TaskManager).(*simulator.TaskManager)
	for _, ref := range append([]moref{}, manager.RecentTask...) {
		if t, ok := simulator.Map.Get(ref).(*task); ok && t.Info.State != types.TaskInfoStateRunning {
			simulator.Map.Remove(ref)
			forget(ref)
		}
	}
}
