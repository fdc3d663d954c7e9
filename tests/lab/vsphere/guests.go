package main

import (
	"fmt"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// guest is how what runs in a VM behaves; clones take after their source.
type guest struct {
	Silent bool // has no guest tools
	Deaf   bool // does not obey a shutdown
}

// immediate are the calls that we answer without a task.
var immediate = map[string]func(*server, *simulator.Method) types.BaseMethodFault{
	"ShutdownGuest": func(s *server, m *simulator.Method) types.BaseMethodFault {
		return s.asked(m, "PowerOffVM_Task", &types.PowerOffVM_Task{This: m.This})
	},
	"RebootGuest": func(s *server, m *simulator.Method) types.BaseMethodFault {
		return s.asked(m, "ResetVM_Task", &types.ResetVM_Task{This: m.This})
	},
	"StandbyGuest": func(s *server, m *simulator.Method) types.BaseMethodFault {
		return s.asked(m, "SuspendVM_Task", &types.SuspendVM_Task{This: m.This})
	},
	"AnswerVM":             answer,
	"UnregisterVM":         unregister,
	"RefreshDatastore":     func(*server, *simulator.Method) types.BaseMethodFault { return nil },
	"MarkAsTemplate":       marked,
	"MarkAsVirtualMachine": marked,
}

// asked is a request to the guest: it returns at once, and the guest takes its time.
func (s *server) asked(m *simulator.Method, task string, body types.AnyType) types.BaseMethodFault {
	vm := vmOf(m.This)
	switch {
	case vm == nil:
		return new(types.NotSupported)
	case !running(vm):
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: vm.Runtime.PowerState,
		}
	case vm.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning):
		return new(types.ToolsUnavailable)
	}
	s.mu.Lock()
	deaf := s.guests[m.This].Deaf
	s.mu.Unlock()
	obey := func() {
		s.world.Lock()
		defer s.world.Unlock()
		_, _ = s.perform(&simulator.Method{Name: task, This: m.This, Body: body})
	}
	switch {
	case deaf:
	case s.ShutdownMS == 0:
		obey()
	default:
		time.AfterFunc(time.Duration(s.ShutdownMS)*time.Millisecond, obey)
	}
	return nil
}

func (s *server) inherit(clone, source moref) {
	s.mu.Lock()
	s.guests[clone] = s.guests[source]
	s.mu.Unlock()
}

// powered brings the guest and the load of the host into line with the VM's power.
func (s *server) powered(vm *simulator.VirtualMachine) {
	if running(vm) {
		s.booting(vm.Self)
	} else {
		tools(vm.Self, false)
	}
	cpu, memory := int32(0), int32(0)
	if running(vm) {
		cpu, memory = vm.Config.Hardware.NumCPU*100, vm.Config.Hardware.MemoryMB
	}
	update(vm.Self, map[string]types.AnyType{
		"summary.quickStats.overallCpuUsage": cpu, "summary.quickStats.hostMemoryUsage": memory,
		"summary.quickStats.guestMemoryUsage": memory / 2,
	})
	s.measure(*vm.Runtime.Host)
}

// booting is a guest whose tools will run, if it has any.
func (s *server) booting(vm moref) {
	s.mu.Lock()
	silent := s.guests[vm].Silent
	s.mu.Unlock()
	if s.BootMS == 0 || silent {
		tools(vm, !silent)
		if silent {
			none := types.VirtualMachineToolsStatusToolsNotInstalled
			update(vm, map[string]types.AnyType{"guest.toolsStatus": none, "summary.guest.toolsStatus": none})
		}
		return
	}
	tools(vm, false)
	time.AfterFunc(time.Duration(s.BootMS)*time.Millisecond, func() {
		if v := vmOf(vm); v != nil && running(v) {
			tools(vm, true)
		}
	})
}

func tools(vm moref, on bool) {
	running, status, state := types.VirtualMachineToolsRunningStatusGuestToolsNotRunning,
		types.VirtualMachineToolsStatusToolsNotRunning, types.VirtualMachineGuestStateNotRunning
	if on {
		running, status, state = types.VirtualMachineToolsRunningStatusGuestToolsRunning,
			types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineGuestStateRunning
	}
	update(vm, map[string]types.AnyType{
		"guest.toolsRunningStatus": string(running), "guest.toolsStatus": status, "guest.guestState": string(state),
		"summary.guest.toolsRunningStatus": string(running), "summary.guest.toolsStatus": status,
	})
}

// ask puts a question to whoever looks after the VM.
func (s *server) ask(vm moref, text string) {
	s.mu.Lock()
	s.numbers++
	id := fmt.Sprintf("question-%d", s.numbers)
	s.mu.Unlock()
	choice := func(key, label string) types.BaseElementDescription {
		return &types.ElementDescription{Key: key, Description: types.Description{Label: label, Summary: label}}
	}
	update(vm, map[string]types.AnyType{"runtime.question": &types.VirtualMachineQuestionInfo{
		Id: id, Text: text, Choice: types.ChoiceOption{
			ChoiceInfo: []types.BaseElementDescription{choice("0", "Retry"), choice("1", "Cancel")}, DefaultIndex: 1,
		},
	}})
}

// answer lets the task that asked go on, or cancels it.
func answer(s *server, m *simulator.Method) types.BaseMethodFault {
	s.world.Lock()
	defer s.world.Unlock()
	vm, req := vmOf(m.This), m.Body.(*types.AnswerVM)
	if vm == nil || vm.Runtime.Question == nil || vm.Runtime.Question.Id != req.QuestionId {
		return &types.InvalidArgument{InvalidProperty: "questionId"}
	}
	s.mu.Lock()
	t := s.busy[m.This]
	s.mu.Unlock()
	update(m.This, map[string]types.AnyType{"runtime.question": nil})
	if t == nil {
		return nil
	}
	if req.AnswerChoice == "1" {
		t.once.Do(func() { close(t.cancelled) })
	} else {
		close(t.answered)
	}
	return nil
}

// marked also tells who waits, which the simulator does not.
func marked(s *server, m *simulator.Method) types.BaseMethodFault {
	vm := vmOf(m.This)
	if vm == nil {
		return new(types.NotSupported)
	}
	s.world.Lock()
	defer s.world.Unlock()
	var body soap.HasFault
	simulator.Map.WithLock(vm, func() {
		switch req := m.Body.(type) {
		case *types.MarkAsTemplate:
			body = vm.MarkAsTemplate(req)
		case *types.MarkAsVirtualMachine:
			body = vm.MarkAsVirtualMachine(req)
		}
	})
	if fault := body.Fault(); fault != nil {
		return fault.VimFault().(types.BaseMethodFault)
	}
	update(m.This, map[string]types.AnyType{"config.template": vm.Config.Template, "summary.config.template": vm.Config.Template})
	return nil
}

// unregister takes a VM out of the inventory; its files stay.
func unregister(s *server, m *simulator.Method) types.BaseMethodFault {
	vm := vmOf(m.This)
	if vm == nil {
		return new(types.NotSupported)
	}
	s.world.Lock()
	defer s.world.Unlock()
	body := vm.UnregisterVM(s.ctx, m.Body.(*types.UnregisterVM))
	if fault := body.Fault(); fault != nil {
		return fault.VimFault().(types.BaseMethodFault)
	}
	changes.viewed()
	return nil
}
