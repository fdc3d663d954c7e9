package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// effect does the tasks that the simulator does otherwise than a vCenter; false: it is none of those.
func (s *server) effect(m *simulator.Method) (result types.AnyType, fault types.BaseMethodFault, ours bool) {
	switch b := m.Body.(type) {
	case *types.CloneVM_Task:
		result, fault = s.clone(vmOf(m.This), b)
	case *types.RelocateVM_Task:
		fault = s.relocate(vmOf(m.This), &b.Spec)
	case *types.ReconfigVM_Task:
		fault = s.reconfigure(vmOf(m.This), b.Spec)
	case *types.ResetVM_Task:
		fault = s.reset(vmOf(m.This))
	default:
		return nil, nil, false
	}
	return result, fault, true
}

func vmOf(ref moref) *simulator.VirtualMachine {
	vm, _ := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	return vm
}

// update changes properties and tells who waits for them.
func update(ref moref, values map[string]types.AnyType) {
	obj := simulator.Map.Get(ref)
	if obj == nil {
		return
	}
	var changes []types.PropertyChange
	for name, value := range values {
		if v := reflect.ValueOf(value); v.Kind() == reflect.Ptr { // neither nil nor pointers to scalars go through
			if value = nil; !v.IsNil() {
				value = v.Elem().Interface()
			}
		}
		changes = append(changes, types.PropertyChange{Name: name, Val: value})
	}
	simulator.Map.WithLock(obj, func() { simulator.Map.Update(obj, changes) })
}

// refused is what a vCenter refuses and the simulator does not look at.
func (s *server) refused(m *simulator.Method) types.BaseMethodFault {
	vm := vmOf(m.This)
	var target *moref
	switch b := m.Body.(type) {
	case *types.CloneVM_Task:
		if vm == nil {
			return new(types.NotSupported)
		}
		if fault := duplicate(stored(b.Name), b.Folder); fault != nil {
			return fault
		}
		return firstOf(usable(b.Spec.Location.Host), s.fits(vm, &b.Spec.Location, false))
	case *types.CreateVM_Task:
		return firstOf(duplicate(b.Config.Name, b.This), usable(b.Host))
	case *types.RelocateVM_Task:
		if fault := firstOf(usable(b.Spec.Host), s.fits(vm, &b.Spec, true)); fault != nil {
			return fault
		}
	case *types.PowerOnVM_Task:
		target = vm.Runtime.Host
	}
	if vm == nil || m.Name == "Destroy_Task" {
		return nil
	}
	return firstOf(usable(target), connected(*vm.Runtime.Host))
}

func firstOf(faults ...types.BaseMethodFault) types.BaseMethodFault {
	for _, fault := range faults {
		if fault != nil {
			return fault
		}
	}
	return nil
}

func connected(host moref) types.BaseMethodFault {
	h, ok := simulator.Map.Get(host).(*simulator.HostSystem)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: host}
	}
	if h.Runtime.ConnectionState != types.HostSystemConnectionStateConnected {
		return new(types.HostNotConnected)
	}
	return nil
}

// usable is about a host that is to take a VM.
func usable(host *moref) types.BaseMethodFault {
	if host == nil {
		return nil
	}
	if fault := connected(*host); fault != nil {
		return fault
	}
	if simulator.Map.Get(*host).(*simulator.HostSystem).Runtime.InMaintenanceMode {
		return new(types.InvalidState)
	}
	return nil
}

func duplicate(name string, in moref) types.BaseMethodFault {
	if folder, ok := simulator.Map.Get(in).(*simulator.Folder); ok {
		if other := simulator.Map.FindByName(name, folder.ChildEntity); other != nil {
			return &types.DuplicateName{Name: name, Object: other.Reference()}
		}
	}
	return nil
}

// fits is about the datastore a VM is to go to: seen by the host, with room for the disks.
func (s *server) fits(vm *simulator.VirtualMachine, to *types.VirtualMachineRelocateSpec, moves bool) types.BaseMethodFault {
	from, host := vm.Datastore[0], vm.Runtime.Host
	store := to.Datastore
	if store == nil {
		store = &from
	}
	ds, ok := simulator.Map.Get(*store).(*simulator.Datastore)
	if !ok {
		return &types.ManagedObjectNotFound{Obj: *store}
	}
	if to.Host != nil {
		host = to.Host
	}
	seen := to.Host == nil && !moves
	for _, mount := range ds.Host {
		seen = seen || mount.Key == *host
	}
	if !seen {
		why := &types.InvalidDatastore{Datastore: &ds.Self, Name: ds.Name}
		return &types.CannotAccessVmDisk{
			CannotAccessVmDevice: types.CannotAccessVmDevice{Device: "Hard disk 1", Backing: "[" + ds.Name + "]"},
			Fault:                types.LocalizedMethodFault{Fault: why, LocalizedMessage: kindOf(why)},
		}
	}
	if (!moves || *store != from) && ds.Summary.FreeSpace < size(vm) {
		return &types.NoDiskSpace{FileFault: types.FileFault{File: "[" + ds.Name + "]"}, Datastore: ds.Name}
	}
	return nil
}

func disks(vm *simulator.VirtualMachine) []*types.VirtualDisk {
	var found []*types.VirtualDisk
	for _, device := range vm.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			found = append(found, disk)
		}
	}
	return found
}

func size(vm *simulator.VirtualMachine) (bytes int64) {
	for _, disk := range disks(vm) {
		bytes += disk.CapacityInKB << 10
	}
	return bytes
}

// clone makes a VM like the source, on the host, with the identity and the settings of the request.
func (s *server) clone(source *simulator.VirtualMachine, req *types.CloneVM_Task) (types.AnyType, types.BaseMethodFault) {
	to := req.Spec.Location
	pool := to.Pool
	if pool == nil {
		pool = source.ResourcePool
	}
	if pool == nil {
		return nil, &types.InvalidArgument{InvalidProperty: "spec.location.pool"}
	}
	store := source.Datastore[0]
	if to.Datastore != nil {
		store = *to.Datastore
	}
	name := simulator.Map.Get(store).(*simulator.Datastore).Name
	spec := types.VirtualMachineConfigSpec{
		Name: stored(req.Name), GuestId: source.Config.GuestId, InstanceUuid: uuid.New().String(), Uuid: uuid.New().String(),
		NumCPUs: source.Config.Hardware.NumCPU, MemoryMB: int64(source.Config.Hardware.MemoryMB),
		Annotation: source.Config.Annotation, Files: &types.VirtualMachineFileInfo{VmPathName: "[" + name + "]"},
	}
	devices, err := copied(source)
	if err != nil {
		return nil, new(types.SystemError)
	}
	spec.DeviceChange, _ = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	folder, ok := simulator.Map.Get(req.Folder).(*simulator.Folder)
	if !ok {
		return nil, &types.ManagedObjectNotFound{Obj: req.Folder}
	}
	result, fault := outcome(folder.CreateVMTask(s.ctx, &types.CreateVM_Task{
		This: folder.Self, Config: spec, Pool: *pool, Host: to.Host,
	}))
	if fault != nil {
		return nil, fault
	}
	vm := vmOf(result.(moref))
	s.told(store)
	s.inherit(vm.Self, source.Self)
	if req.Spec.Config != nil {
		if fault = s.reconfigure(vm, *req.Spec.Config); fault != nil {
			return nil, fault
		}
	}
	switch {
	case req.Spec.Template:
		vm.MarkAsTemplate(&types.MarkAsTemplate{This: vm.Self})
	case req.Spec.PowerOn:
		on := &types.PowerOnVM_Task{This: vm.Self}
		m := &simulator.Method{Name: "PowerOnVM_Task", This: vm.Self, Body: on}
		if _, fault = s.perform(m); fault != nil {
			return nil, fault
		}
	}
	return vm.Self, nil
}

// copied are the source's own devices, with disks yet to be made; the simulator would share them.
func copied(source *simulator.VirtualMachine) (object.VirtualDeviceList, error) {
	var text bytes.Buffer
	if err := xml.NewEncoder(&text).Encode(source.Config.Hardware); err != nil {
		return nil, err
	}
	var hardware types.VirtualHardware
	decoder := xml.NewDecoder(&text)
	decoder.TypeFunc = types.TypeFunc()
	if err := decoder.Decode(&hardware); err != nil {
		return nil, err
	}
	var devices object.VirtualDeviceList
	for _, device := range hardware.Device {
		switch d := device.(type) {
		case *types.VirtualDisk:
			d.Backing = &types.VirtualDiskFlatVer2BackingInfo{DiskMode: string(types.VirtualDiskModePersistent)}
		case *types.ParaVirtualSCSIController:
		case types.BaseVirtualEthernetCard:
			d.GetVirtualEthernetCard().MacAddress = ""
		default:
			continue // each VM gets those of its own
		}
		devices = append(devices, device)
	}
	return devices, nil
}

// relocate moves the VM to another host, pool or datastore; a vMotion when it runs.
func (s *server) relocate(vm *simulator.VirtualMachine, to *types.VirtualMachineRelocateSpec) types.BaseMethodFault {
	if to.Pool != nil {
		update(vm.Self, map[string]types.AnyType{"resourcePool": to.Pool})
	}
	if to.Datastore != nil && *to.Datastore != vm.Datastore[0] {
		if err := s.moveFiles(vm, *to.Datastore); err != nil {
			return &types.FileFault{File: err.Error()}
		}
	}
	if from := *vm.Runtime.Host; to.Host != nil && *to.Host != from {
		update(vm.Self, map[string]types.AnyType{"runtime.host": to.Host, "summary.runtime.host": to.Host})
		s.lists("HostSystem", vm.Self, from, *to.Host)
		s.measure(from, *to.Host)
	}
	return nil
}

// lists takes the VM out of one object's list of VMs and puts it into another's.
func (s *server) lists(kind string, vm, from, to moref) {
	of := func(ref moref) []moref {
		switch x := simulator.Map.Get(ref).(type) {
		case *simulator.HostSystem:
			return x.Vm
		case *simulator.Datastore:
			return x.Vm
		}
		return nil
	}
	left := []moref{}
	for _, each := range of(from) {
		if each != vm {
			left = append(left, each)
		}
	}
	update(from, map[string]types.AnyType{"vm": left})
	update(to, map[string]types.AnyType{"vm": append(append([]moref{}, of(to)...), vm)})
}

// moveFiles takes the VM's folder and its disks to another datastore.
func (s *server) moveFiles(vm *simulator.VirtualMachine, to moref) error {
	from := vm.Datastore[0]
	old, ds := simulator.Map.Get(from).(*simulator.Datastore), simulator.Map.Get(to).(*simulator.Datastore)
	var p object.DatastorePath
	p.FromString(vm.Config.Files.VmPathName)
	folder := path.Dir(p.Path)
	if err := os.Rename(path.Join(old.Name, folder), path.Join(ds.Name, folder)); err != nil {
		return err
	}
	there := func(name string) string { return strings.Replace(name, "["+old.Name+"]", "["+ds.Name+"]", 1) }
	files := vm.Config.Files
	simulator.Map.WithLock(vm, func() {
		for _, disk := range disks(vm) {
			if b, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
				b.FileName, b.Datastore = there(b.FileName), &to
			}
		}
		// The simulator looks for the datastore of each file when it destroys the VM.
		for i := range vm.LayoutEx.File {
			vm.LayoutEx.File[i].Name = there(vm.LayoutEx.File[i].Name)
		}
	})
	for _, name := range []*string{&files.VmPathName, &files.LogDirectory, &files.SnapshotDirectory, &files.SuspendDirectory} {
		*name = there(*name)
	}
	update(vm.Self, map[string]types.AnyType{
		"datastore": []moref{to}, "config.files": files, "summary.config.vmPathName": files.VmPathName,
		"config.hardware.device": vm.Config.Hardware.Device,
	})
	s.lists("Datastore", vm.Self, from, to)
	old.Summary.FreeSpace += size(vm)
	ds.Summary.FreeSpace -= size(vm)
	s.told(from, to)
	return nil
}

// told tells who waits how full datastores are.
func (s *server) told(stores ...moref) {
	for _, ref := range stores {
		if ds, ok := simulator.Map.Get(ref).(*simulator.Datastore); ok {
			update(ref, map[string]types.AnyType{"summary.freeSpace": ds.Summary.FreeSpace})
		}
	}
}

func running(vm *simulator.VirtualMachine) bool {
	return vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
}

// reconfigure refuses what needs hot plug, keeps one value for each extraConfig key, and tells.
func (s *server) reconfigure(vm *simulator.VirtualMachine, spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	hardware := vm.Config.Hardware
	on := func(b *bool) bool { return b != nil && *b }
	spec.Name = stored(spec.Name)
	switch {
	case spec.MemoryMB%4 != 0:
		return &types.InvalidArgument{InvalidProperty: "configSpec.memoryMB"}
	case spec.ChangeVersion != "" && spec.ChangeVersion != vm.Config.ChangeVersion:
		return new(types.ConcurrentAccess)
	case running(vm) && spec.NumCPUs != 0 && spec.NumCPUs != hardware.NumCPU && !on(vm.Config.CpuHotAddEnabled):
		return new(types.CpuHotPlugNotSupported)
	case running(vm) && spec.MemoryMB != 0 && int32(spec.MemoryMB) != hardware.MemoryMB && !on(vm.Config.MemoryHotAddEnabled):
		return new(types.MemoryHotPlugNotSupported)
	}
	m := &simulator.Method{Name: "ReconfigVM_Task", This: vm.Self, Body: &types.ReconfigVM_Task{This: vm.Self, Spec: spec}}
	if _, fault := s.simulated(m); fault != nil {
		return fault
	}
	s.mu.Lock()
	s.numbers++
	version := fmt.Sprintf("%s.%d", time.Now().UTC().Format(time.RFC3339), s.numbers)
	s.mu.Unlock()
	update(vm.Self, map[string]types.AnyType{
		"config.extraConfig": latest(vm.Config.ExtraConfig), "config.changeVersion": version, "name": vm.Name,
		"config.hardware.numCPU": vm.Config.Hardware.NumCPU, "config.hardware.memoryMB": vm.Config.Hardware.MemoryMB,
		"config.annotation": vm.Config.Annotation, "config.instanceUuid": vm.Config.InstanceUuid,
	})
	s.measure(*vm.Runtime.Host)
	return nil
}

// latest keeps the last value of each key; an empty one removes the key.
func latest(options []types.BaseOptionValue) []types.BaseOptionValue {
	last := map[string]int{}
	for i, option := range options {
		last[option.GetOptionValue().Key] = i
	}
	kept := []types.BaseOptionValue{}
	for i, option := range options {
		if last[option.GetOptionValue().Key] == i && option.GetOptionValue().Value != "" {
			kept = append(kept, option)
		}
	}
	return kept
}

func (s *server) reset(vm *simulator.VirtualMachine) types.BaseMethodFault {
	if !running(vm) {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: vm.Runtime.PowerState,
		}
	}
	now := time.Now()
	update(vm.Self, map[string]types.AnyType{"runtime.bootTime": &now, "summary.runtime.bootTime": &now})
	s.booting(vm.Self)
	return nil
}

// settle does what follows from a task that the simulator did.
func (s *server) settle(m *simulator.Method) {
	switch m.Name {
	case "PowerOnVM_Task", "PowerOffVM_Task", "SuspendVM_Task":
		s.powered(vmOf(m.This))
	case "EnterMaintenanceMode_Task", "ExitMaintenanceMode_Task":
		in := m.Name == "EnterMaintenanceMode_Task"
		update(m.This, map[string]types.AnyType{"runtime.inMaintenanceMode": in, "summary.runtime.inMaintenanceMode": in})
	case "Destroy_Task":
		for _, kind := range []string{"Datastore", "HostSystem"} {
			for _, each := range simulator.Map.All(kind) {
				s.told(each.Reference())
			}
		}
	}
}

// measure says how busy hosts are: what the host needs itself, and what its running VMs are given.
func (s *server) measure(hosts ...moref) {
	for _, ref := range hosts {
		h, ok := simulator.Map.Get(ref).(*simulator.HostSystem)
		if !ok {
			continue
		}
		mhz, mib := int32(67), int32(1404)
		for _, each := range h.Vm {
			if vm := vmOf(each); vm != nil && running(vm) {
				mhz += vm.Config.Hardware.NumCPU * 100
				mib += vm.Config.Hardware.MemoryMB
			}
		}
		update(ref, map[string]types.AnyType{
			"summary.quickStats.overallCpuUsage": mhz, "summary.quickStats.overallMemoryUsage": mib,
		})
	}
}
