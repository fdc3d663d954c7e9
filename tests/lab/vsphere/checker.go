package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The checker says whether a relocation could be. It knows hosts and datastores; what a rule of kind
// taskfault names on CheckRelocate_Task stands for all else that a vCenter compares.

func addChecker() {
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	checker := new(mo.VirtualMachineProvisioningChecker)
	checker.Self = *content.VmProvisioningChecker
	simulator.Map.Put(checker)
}

// checked is the result of a check; the task itself succeeds.
func (s *server) checked(b *types.CheckRelocate_Task, r *rule) (types.AnyType, types.BaseMethodFault) {
	vm := vmOf(b.Vm)
	if vm == nil {
		return nil, &types.ManagedObjectNotFound{Obj: b.Vm}
	}
	result := types.CheckResult{Vm: &b.Vm, Host: b.Spec.Host}
	fault := firstOf(usable(b.Spec.Host), s.fits(vm, &b.Spec, true))
	if r != nil && r.Kind == "taskfault" {
		fault = newFault(r.Fault, b.Vm)
	}
	if fault != nil {
		result.Error = []types.LocalizedMethodFault{{Fault: fault, LocalizedMessage: kindOf(fault)}}
	}
	return types.ArrayOfCheckResult{CheckResult: []types.CheckResult{result}}, nil
}
