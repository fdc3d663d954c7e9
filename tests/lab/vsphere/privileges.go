package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Privileges are asked for as the API reference lists them for each method, as far as we know it; on any
// object alike, but for those that tests grant on single objects. The simulator asks for none.

// plain are the methods whose needs do not depend on what is asked.
var plain = map[string]string{
	"CancelTask":           "Global.CancelTask",
	"PowerOnVM_Task":       "VirtualMachine.Interact.PowerOn",
	"PowerOffVM_Task":      "VirtualMachine.Interact.PowerOff",
	"ShutdownGuest":        "VirtualMachine.Interact.PowerOff",
	"ResetVM_Task":         "VirtualMachine.Interact.Reset",
	"RebootGuest":          "VirtualMachine.Interact.Reset",
	"SuspendVM_Task":       "VirtualMachine.Interact.Suspend",
	"StandbyGuest":         "VirtualMachine.Interact.Suspend",
	"AnswerVM":             "VirtualMachine.Interact.AnswerQuestion",
	"Destroy_Task":         "VirtualMachine.Inventory.Delete",
	"UnregisterVM":         "VirtualMachine.Inventory.Unregister",
	"SearchDatastore_Task": "Datastore.Browse",

	"DeleteDatastoreFile_Task": "Datastore.FileManagement",

	"CreateVM_Task":        "VirtualMachine.Inventory.Create",
	"MarkAsTemplate":       "VirtualMachine.Provisioning.MarkAsTemplate",
	"MarkAsVirtualMachine": "VirtualMachine.Provisioning.MarkAsVM",
}

// needs are the privileges that a call takes.
func needs(m *simulator.Method) []string {
	if one := plain[m.Name]; one != "" {
		return []string{one}
	}
	vm := vmOf(m.This)
	if vm == nil {
		return nil
	}
	var all []string
	switch b := m.Body.(type) {
	case *types.CloneVM_Task:
		all = append(all, "VirtualMachine.Inventory.CreateFromExisting", "Datastore.AllocateSpace", "Resource.AssignVMToPool")
		if vm.Config.Template {
			all = append(all, "VirtualMachine.Provisioning.DeployTemplate")
		} else {
			all = append(all, "VirtualMachine.Provisioning.Clone")
		}
		if len(vm.Network) > 0 {
			all = append(all, "Network.Assign")
		}
		if b.Spec.PowerOn {
			all = append(all, "VirtualMachine.Interact.PowerOn")
		}
		if b.Spec.Config != nil {
			all = append(all, toConfigure(b.Spec.Config)...)
		}
	case *types.RelocateVM_Task:
		if vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
			all = append(all, "Resource.ColdMigrate")
		} else {
			all = append(all, "Resource.HotMigrate")
		}
		if b.Spec.Pool != nil {
			all = append(all, "Resource.AssignVMToPool")
		}
		if b.Spec.Datastore != nil && *b.Spec.Datastore != vm.Datastore[0] {
			all = append(all, "Datastore.AllocateSpace")
		}
	case *types.ReconfigVM_Task:
		all = toConfigure(&b.Spec)
	}
	return all
}

// toConfigure are the privileges that a change of a VM's settings takes.
func toConfigure(spec *types.VirtualMachineConfigSpec) []string {
	var all []string
	for _, each := range []struct {
		asked     bool
		privilege string
	}{
		{spec.NumCPUs != 0, "CPUCount"},
		{spec.MemoryMB != 0, "Memory"},
		{len(spec.ExtraConfig) > 0, "AdvancedConfig"},
		{spec.Name != "", "Rename"},
		{spec.Annotation != "", "Annotation"},
		{spec.CpuAllocation != nil || spec.MemoryAllocation != nil, "Resource"},
		{spec.GuestId != "" || spec.BootOptions != nil || spec.Flags != nil, "Settings"},
	} {
		if each.asked {
			all = append(all, "VirtualMachine.Config."+each.privilege)
		}
	}
	for _, change := range spec.DeviceChange {
		c := change.GetVirtualDeviceConfigSpec()
		_, disk := c.Device.(*types.VirtualDisk)
		_, nic := c.Device.(types.BaseVirtualEthernetCard)
		edited := c.Operation == types.VirtualDeviceConfigSpecOperationEdit
		switch {
		case disk && edited:
			all = append(all, "VirtualMachine.Config.DiskExtend")
		case edited:
			all = append(all, "VirtualMachine.Config.EditDevice")
		case disk && c.Operation == types.VirtualDeviceConfigSpecOperationAdd:
			all = append(all, "VirtualMachine.Config.AddNewDisk", "Datastore.AllocateSpace")
		case disk:
			all = append(all, "VirtualMachine.Config.RemoveDisk")
		default:
			all = append(all, "VirtualMachine.Config.AddRemoveDevice")
		}
		if nic && c.Operation != types.VirtualDeviceConfigSpecOperationRemove {
			all = append(all, "Network.Assign")
		}
	}
	return all
}

// forbidden is the fault of a call that takes a privilege which the user does not hold.
func (s *server) forbidden(m *simulator.Method) types.BaseMethodFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, privilege := range needs(m) {
		if s.held != nil && !s.held[privilege] && !s.heldAt[on(m, privilege)][privilege] {
			return &types.NoPermission{Object: m.This, PrivilegeId: privilege}
		}
	}
	return nil
}

// setPrivileges says what the user holds; null: all.
func (s *server) setPrivileges(body *json.Decoder) (interface{}, error) {
	var q struct {
		Held []string
		At   map[string][]string
	}
	if err := body.Decode(&q); err != nil {
		return nil, err
	}
	s.held, s.heldAt = nil, map[string]map[string]bool{}
	if q.Held != nil {
		s.held = set(q.Held)
	}
	for id, names := range q.At {
		s.heldAt[id] = set(names)
	}
	return nil, nil
}

func set(names []string) map[string]bool {
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
	}
	return found
}

// on is the object that a privilege of a call is asked on, as far as it is held on single objects here.
func on(m *simulator.Method, privilege string) string {
	if privilege != "Resource.AssignVMToPool" {
		return m.This.Value
	}
	var pool *moref
	switch b := m.Body.(type) {
	case *types.CloneVM_Task:
		pool = b.Spec.Location.Pool
	case *types.RelocateVM_Task:
		pool = b.Spec.Pool
	}
	if pool == nil {
		return ""
	}
	return pool.Value
}

// holds answers HasPrivilegeOnEntities.
func (s *server) holds(w http.ResponseWriter, c *call) {
	m := s.admitted(w, c)
	if m == nil {
		return
	}
	req := m.Body.(*types.HasPrivilegeOnEntities)
	var b strings.Builder
	s.mu.Lock()
	for _, entity := range req.Entity {
		fmt.Fprintf(&b, `<returnval><entity type="%s">%s</entity>`, entity.Type, entity.Value)
		for _, id := range req.PrivId {
			fmt.Fprintf(&b, `<privAvailability><privId>%s</privId><isGranted>%t</isGranted></privAvailability>`,
				id, s.held == nil || s.held[id] || s.heldAt[entity.Value][id])
		}
		b.WriteString("</returnval>")
	}
	s.mu.Unlock()
	reply(w, 200, `<HasPrivilegeOnEntitiesResponse xmlns="urn:vim25">`+b.String()+`</HasPrivilegeOnEntitiesResponse>`)
}
