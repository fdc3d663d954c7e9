package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// DRS places a VM at power on where it is fully or partially automated; in the manual mode it only
// recommends, and the VM starts where it is. It moves no running VM here: tests do that themselves.

// places tells whether DRS of the host's cluster chooses the host of a VM that is powered on.
func places(cluster *simulator.ClusterComputeResource) bool {
	drs := cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig
	return drs.Enabled != nil && *drs.Enabled && drs.DefaultVmBehavior != types.DrsBehaviorManual
}

// placeAtPowerOn moves a VM that is about to start to the host with the most free memory; where several have as
// much, or none has more than its own, it stays.
func (s *server) placeAtPowerOn(vm *simulator.VirtualMachine) {
	own, ok := simulator.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem)
	if !ok || vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		return // one that resumes goes on where its memory is
	}
	cluster, ok := simulator.Map.Get(*own.Parent).(*simulator.ClusterComputeResource)
	if !ok || !places(cluster) {
		return
	}
	best := own
	for _, ref := range cluster.Host {
		host := simulator.Map.Get(ref).(*simulator.HostSystem)
		less := host.Summary.QuickStats.OverallMemoryUsage < best.Summary.QuickStats.OverallMemoryUsage
		if less && usable(&ref) == nil && sees(host, vm) {
			best = host
		}
	}
	if best != own {
		_ = s.relocate(vm, &types.VirtualMachineRelocateSpec{Host: &best.Self})
	}
}

// sees tells whether a host mounts all datastores of a VM.
func sees(host *simulator.HostSystem, vm *simulator.VirtualMachine) bool {
	for _, store := range vm.Datastore {
		found := false
		for _, each := range host.Datastore {
			found = found || each == store
		}
		if !found {
			return false
		}
	}
	return true
}
