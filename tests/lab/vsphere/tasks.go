package main

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const steps = 10

// task runs a while before it does anything; the simulator's are done when the call returns.
type task struct {
	mo.Task
	once      sync.Once
	cancelled chan struct{}
	answered  chan struct{}
}

// cancelable are the tasks that can be cancelled; the others refuse it.
var cancelable = map[string]bool{"CloneVM_Task": true, "RelocateVM_Task": true, "CreateVM_Task": true}

// CancelTask is found by the simulator by its name.
func (t *task) CancelTask(*simulator.Context, *types.CancelTask) soap.HasFault {
	if t.Info.State != types.TaskInfoStateRunning {
		return &methods.CancelTaskBody{Fault_: simulator.Fault("", new(types.InvalidState))}
	}
	if !t.Info.Cancelable {
		return &methods.CancelTaskBody{Fault_: simulator.Fault("", new(types.NotSupported))}
	}
	t.once.Do(func() { close(t.cancelled) })
	return &methods.CancelTaskBody{Res: new(types.CancelTaskResponse)}
}

func (t *task) set(changes ...types.PropertyChange) {
	simulator.Map.WithLock(t, func() { simulator.Map.Update(t, changes) })
}

const ownTasks = 1000000

// begin starts the task of a call.
func (s *server) begin(m *simulator.Method, r *rule) *task {
	t := &task{cancelled: make(chan struct{}), answered: make(chan struct{})}
	this, now := m.This, time.Now()
	s.mu.Lock()
	s.numbers++
	// The simulator numbers tasks of its own with all its objects: ours must never meet those.
	t.Self = moref{Type: "Task", Value: fmt.Sprintf("task-%d", ownTasks+s.numbers)}
	alone := this.Type == "VirtualMachine" && m.Name != "CloneVM_Task"
	other := s.busy[this]
	taken := alone && other != nil
	if alone && !taken {
		s.busy[this] = t
	}
	s.mu.Unlock()
	t.Info = types.TaskInfo{
		Key: t.Self.Value, Task: t.Self, Name: m.Name, DescriptionId: this.Type + "." + description(m.Name),
		Entity: &this, EntityName: this.Value, State: types.TaskInfoStateRunning, Cancelable: cancelable[m.Name],
		QueueTime: now, StartTime: &now, Reason: &types.TaskReasonUser{UserName: "lab"},
	}
	if e, ok := simulator.Map.Get(this).(mo.Entity); ok {
		t.Info.EntityName = e.Entity().Name
	}
	simulator.Map.Put(t)
	s.recent(this, t.Self)
	switch {
	case taken:
		s.end(t, m, nil, &types.TaskInProgress{Task: other.Self})
	case s.TaskMS == 0 && (r == nil || r.Kind != "taskhold" && r.Kind != "taskdelay" && r.Kind != "question"):
		s.run(t, m, r)
	default:
		go s.run(t, m, r)
	}
	return t
}

// description is how a vCenter names the kind of a task: VirtualMachine.powerOn.
func description(method string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(method, "_Task"), "VM")
	if name == "Reconfig" {
		name = "Reconfigure"
	}
	return strings.ToLower(name[:1]) + name[1:]
}

// recent notes the task at its VM.
func (s *server) recent(this, t moref) {
	vm, ok := simulator.Map.Get(this).(*simulator.VirtualMachine)
	if !ok {
		return
	}
	simulator.Map.WithLock(vm, func() {
		list := append(vm.RecentTask[:len(vm.RecentTask):len(vm.RecentTask)], t)
		if len(list) > 10 {
			list = list[1:]
		}
		simulator.Map.Update(vm, []types.PropertyChange{{Name: "recentTask", Val: list}})
	})
}

func (s *server) run(t *task, m *simulator.Method, r *rule) {
	for i := 1; i < steps; i++ {
		if !t.pause(time.Duration(s.TaskMS) * time.Millisecond / steps) {
			s.end(t, m, nil, new(types.RequestCanceled))
			return
		}
		if s.TaskMS > 0 || r != nil {
			t.set(types.PropertyChange{Name: "info.progress", Val: int32(i * 100 / steps)})
		}
		if r != nil && i == steps/2 && !s.halfWay(t, m, r) {
			s.end(t, m, nil, new(types.RequestCanceled))
			return
		}
	}
	if b, checking := m.Body.(*types.CheckRelocate_Task); checking {
		s.world.Lock()
		result, fault := s.checked(b, r)
		s.world.Unlock()
		s.end(t, m, result, fault)
		return
	}
	if r != nil && r.Kind == "taskfault" {
		s.end(t, m, nil, newFault(r.Fault, m.This))
		return
	}
	s.world.Lock()
	result, fault := s.perform(m)
	s.world.Unlock()
	if m.Name == "CloneVM_Task" || m.Name == "CreateVM_Task" || m.Name == "Destroy_Task" {
		changes.viewed()
	}
	s.end(t, m, result, fault)
}

// pause is false when the task is cancelled meanwhile.
func (t *task) pause(d time.Duration) bool {
	select {
	case <-t.cancelled:
		return false
	case <-time.After(d):
		return true
	}
}

// halfWay holds the task up, or lets it ask; false when it is cancelled meanwhile.
func (s *server) halfWay(t *task, m *simulator.Method, r *rule) bool {
	until := r.released
	switch r.Kind {
	case "taskhold":
	case "taskdelay":
		return t.pause(time.Duration(r.MS) * time.Millisecond)
	case "question":
		until = t.answered
		s.ask(m.This, r.Text)
	default:
		return true
	}
	select {
	case <-until:
		return true
	case <-t.cancelled:
		return false
	}
}

func (s *server) end(t *task, m *simulator.Method, result types.AnyType, fault types.BaseMethodFault) {
	s.mu.Lock()
	if s.busy[m.This] == t {
		delete(s.busy, m.This)
	}
	s.mu.Unlock()
	changes := []types.PropertyChange{{Name: "info.completeTime", Val: time.Now()}}
	state := types.TaskInfoStateSuccess
	if fault != nil {
		state = types.TaskInfoStateError
		_, stopped := fault.(*types.RequestCanceled)
		changes = append(changes, types.PropertyChange{Name: "info.cancelled", Val: stopped}, types.PropertyChange{
			Name: "info.error", Val: types.LocalizedMethodFault{Fault: fault, LocalizedMessage: kindOf(fault)}})
	} else if result != nil {
		changes = append(changes, types.PropertyChange{Name: "info.result", Val: result})
	}
	t.set(append(changes, types.PropertyChange{Name: "info.state", Val: state})...)
}

// perform does what the task is for.
func (s *server) perform(m *simulator.Method) (types.AnyType, types.BaseMethodFault) {
	if simulator.Map.Get(m.This) == nil {
		return nil, &types.ManagedObjectNotFound{Obj: m.This}
	}
	if fault := s.refused(m); fault != nil {
		return nil, fault
	}
	if result, fault, ours := s.effect(m); ours {
		return result, fault
	}
	if m.Name == "PowerOnVM_Task" {
		s.placeAtPowerOn(vmOf(m.This))
	}
	result, fault := s.simulated(m)
	if fault == nil {
		s.settle(m)
	}
	return result, fault
}

// simulated calls the simulator's method, as its own dispatcher does.
func (s *server) simulated(m *simulator.Method) (types.AnyType, types.BaseMethodFault) {
	object := simulator.Map.Get(m.This)
	f := reflect.ValueOf(object).MethodByName(strings.TrimSuffix(m.Name, "_Task") + "Task")
	if !f.IsValid() {
		return nil, &types.MethodNotFound{Receiver: m.This, Method: m.Name}
	}
	ctx := *s.ctx
	ctx.Caller = &m.This
	args := []reflect.Value{reflect.ValueOf(m.Body)}
	if f.Type().NumIn() == 2 {
		args = append([]reflect.Value{reflect.ValueOf(&ctx)}, args...)
	}
	var body soap.HasFault
	simulator.Map.WithLock(object, func() { body = f.Call(args)[0].Interface().(soap.HasFault) })
	return outcome(body)
}

// outcome is what a task of the simulator came to; it is forgotten, ours stands for it.
func outcome(body soap.HasFault) (types.AnyType, types.BaseMethodFault) {
	if fault := body.Fault(); fault != nil {
		if f, ok := fault.VimFault().(types.BaseMethodFault); ok {
			return nil, f
		}
		return nil, new(types.SystemError)
	}
	ref := reflect.ValueOf(body).Elem().FieldByName("Res").Elem().FieldByName("Returnval").Interface().(moref)
	inner := simulator.Map.Get(ref).(*simulator.Task)
	simulator.Map.Remove(ref)
	forget(ref)
	if inner.Info.Error != nil {
		return nil, inner.Info.Error.Fault
	}
	return inner.Info.Result, nil
}

// forget takes a task out of the list of recent ones.
func forget(gone moref) {
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	manager := simulator.Map.Get(*content.TaskManager).(*simulator.TaskManager)
	simulator.Map.WithLock(manager, func() {
		list := []moref{}
		for _, each := range manager.RecentTask {
			if each != gone {
				list = append(list, each)
			}
		}
		simulator.Map.Update(manager, []types.PropertyChange{{Name: "recentTask", Val: list}})
	})
}
