package main

import (
	"fmt"
	"os"
	"path"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	vmNetwork  = "VM Network"
	library    = "library"
	dvSwitch   = "switch-1"
	guestLinux = types.VirtualMachineGuestOsIdentifierOtherLinux64Guest
)

// setHardware says what each host is made of.
func setHardware(s *shape) {
	cores, hardware := int16(s.HostCores), esx.HostSystem.Summary.Hardware
	hardware.NumCpuPkgs, hardware.NumCpuCores, hardware.NumCpuThreads = 1, cores, cores
	hardware.CpuMhz, hardware.MemorySize = int32(s.HostMHz), int64(s.HostMiB)<<20
	esx.HostHardwareInfo.CpuInfo = types.HostCpuInfo{
		NumCpuPackages: 1, NumCpuCores: cores, NumCpuThreads: cores, Hz: int64(s.HostMHz) * 1e6,
	}
	esx.HostHardwareInfo.MemorySize = int64(s.HostMiB) << 20
}

// build makes the inventory: one datacenter, lab, with a cluster for each rack.
func (s *server) build() error {
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	root := simulator.Map.Get(content.RootFolder).(*simulator.Folder)
	made := root.CreateDatacenter(s.ctx, &types.CreateDatacenter{This: root.Self, Name: "lab"})
	if fault := made.Fault(); fault != nil {
		return fmt.Errorf("datacenter: %s", fault.String)
	}
	dc := simulator.Map.Get(made.(*methods.CreateDatacenterBody).Res.Returnval).(*simulator.Datacenter)
	s.folder = simulator.Map.Get(dc.VmFolder).(*simulator.Folder)
	var all []*simulator.HostSystem
	for c := 1; c <= s.Clusters; c++ {
		hosts, err := s.cluster(simulator.Map.Get(dc.HostFolder).(*simulator.Folder), c)
		if err != nil {
			return err
		}
		all = append(all, hosts...)
	}
	if err := s.datastore(library, all); err != nil {
		return err
	}
	nic, err := s.networks(simulator.Map.Get(dc.NetworkFolder).(*simulator.Folder), all)
	if err != nil {
		return err
	}
	return s.population(all, nic)
}

func (s *server) cluster(folder *simulator.Folder, c int) ([]*simulator.HostSystem, error) {
	made := folder.CreateClusterEx(s.ctx, &types.CreateClusterEx{This: folder.Self, Name: fmt.Sprintf("rack-%d", c)})
	if fault := made.Fault(); fault != nil {
		return nil, fmt.Errorf("cluster: %s", fault.String)
	}
	ref := made.(*methods.CreateClusterExBody).Res.Returnval
	cluster := simulator.Map.Get(ref).(*simulator.ClusterComputeResource)
	// The old property too, whose parts can be asked for one by one.
	cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig.Enabled = types.NewBool(s.DRS)
	cluster.Configuration.DrsConfig.Enabled = types.NewBool(s.DRS)
	mode := types.DrsBehavior(s.Mode)
	cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig.DefaultVmBehavior = mode
	cluster.Configuration.DrsConfig.DefaultVmBehavior = mode
	var hosts []*simulator.HostSystem
	for h := 1; h <= s.Hosts; h++ {
		spec := types.HostConnectSpec{HostName: fmt.Sprintf("esxi-%d-%d", c, h)}
		result, err := s.finished(cluster.AddHostTask(&types.AddHost_Task{This: ref, Spec: spec, AsConnected: true}))
		if err != nil {
			return nil, err
		}
		host := simulator.Map.Get(result.(moref)).(*simulator.HostSystem)
		hosts = append(hosts, host)
		if err := s.datastore(fmt.Sprintf("local-%d-%d", c, h), hosts[h-1:]); err != nil {
			return nil, err
		}
		s.measure(host.Self)
	}
	for d := 1; d <= s.Datastores; d++ {
		if err := s.datastore(fmt.Sprintf("shared-%d-%d", c, d), hosts); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

// datastore mounts one on all hosts; the simulator would make one object for each of them.
func (s *server) datastore(name string, hosts []*simulator.HostSystem) error {
	if len(hosts) == 0 {
		return nil
	}
	if err := os.Mkdir(name, 0700); err != nil {
		return err
	}
	system := func(h *simulator.HostSystem) *simulator.HostDatastoreSystem {
		return simulator.Map.Get(*h.ConfigManager.DatastoreSystem).(*simulator.HostDatastoreSystem)
	}
	first := system(hosts[0])
	made := first.CreateLocalDatastore(s.ctx, &types.CreateLocalDatastore{This: first.Self, Name: name, Path: name})
	if fault := made.Fault(); fault != nil {
		return fmt.Errorf("%s: %s", name, fault.String)
	}
	ds := simulator.Map.Get(made.(*methods.CreateLocalDatastoreBody).Res.Returnval).(*simulator.Datastore)
	mount := ds.Host[0]
	for _, host := range hosts[1:] {
		dss := system(host)
		dss.Datastore = append(dss.Datastore, ds.Self)
		host.Datastore = dss.Datastore
		cluster := simulator.Map.Get(*host.Parent).(*simulator.ClusterComputeResource)
		simulator.Map.AddReference(cluster, &cluster.Datastore, ds.Self)
		mount.Key = host.Self
		ds.Host = append(ds.Host, mount)
	}
	ds.Summary.Type = "VMFS"
	ds.Summary.MultipleHostAccess = types.NewBool(len(hosts) > 1)
	ds.Summary.Capacity = int64(s.DatastoreGiB) << 30
	ds.Summary.FreeSpace = ds.Summary.Capacity
	ds.Info.GetDatastoreInfo().FreeSpace = ds.Summary.Capacity
	return nil
}

// networks makes the distributed port groups; what comes back is where VMs are plugged in.
func (s *server) networks(folder *simulator.Folder, hosts []*simulator.HostSystem) (types.BaseVirtualDeviceBackingInfo, error) {
	plain := &types.VirtualEthernetCardNetworkBackingInfo{}
	plain.DeviceName = vmNetwork
	if s.Networks == 0 {
		return plain, nil
	}
	spec := types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{}}
	spec.ConfigSpec.GetDVSConfigSpec().Name = dvSwitch
	result, err := s.finished(folder.CreateDVSTask(s.ctx, &types.CreateDVS_Task{This: folder.Self, Spec: spec}))
	if err != nil {
		return nil, err
	}
	dvs := simulator.Map.Get(result.(moref)).(*simulator.DistributedVirtualSwitch)
	var groups []types.DVPortgroupConfigSpec
	for n := 1; n <= s.Networks; n++ {
		groups = append(groups, types.DVPortgroupConfigSpec{Name: fmt.Sprintf("lan-%d", n), Type: "earlyBinding", NumPorts: 8})
	}
	if _, err = s.finished(dvs.AddDVPortgroupTask(s.ctx, &types.AddDVPortgroup_Task{This: dvs.Self, Spec: groups})); err != nil {
		return nil, err
	}
	var members []types.DistributedVirtualSwitchHostMemberConfigSpec
	for _, host := range hosts {
		members = append(members, types.DistributedVirtualSwitchHostMemberConfigSpec{Operation: "add", Host: host.Self})
	}
	change := &types.ReconfigureDvs_Task{This: dvs.Self, Spec: &types.DVSConfigSpec{Host: members}}
	if _, err = s.finished(dvs.ReconfigureDvsTask(change)); err != nil {
		return nil, err
	}
	lan := simulator.Map.FindByName("lan-1", folder.ChildEntity)
	return &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{
		Port: types.DistributedVirtualSwitchPortConnection{SwitchUuid: dvs.Uuid, PortgroupKey: lan.Reference().Value},
	}, nil
}

func (s *server) population(hosts []*simulator.HostSystem, nic types.BaseVirtualDeviceBackingInfo) error {
	if len(hosts) == 0 {
		return nil
	}
	for t := 1; t <= s.Templates; t++ {
		vm, err := s.newVM(fmt.Sprintf("template-%d", t), library, hosts[0], nic)
		if err != nil {
			return err
		}
		vm.MarkAsTemplate(&types.MarkAsTemplate{This: vm.Self})
	}
	if s.Datastores == 0 {
		return nil
	}
	for i := 0; i < s.Clusters*s.VMs; i++ {
		c, v := i/s.VMs, i%s.VMs
		host := hosts[c*s.Hosts+v%s.Hosts]
		vm, err := s.newVM(fmt.Sprintf("vm-%d-%d", c+1, v+1), fmt.Sprintf("shared-%d-1", c+1), host, nic)
		if err != nil {
			return err
		}
		if s.On {
			vm.PowerOnVMTask(s.ctx, &types.PowerOnVM_Task{This: vm.Self})
			s.powered(vm)
			tools(vm.Self, true) // it has been running for long
		}
	}
	return nil
}

func (s *server) newVM(
	name, datastore string, host *simulator.HostSystem, nic types.BaseVirtualDeviceBackingInfo,
) (*simulator.VirtualMachine, error) {
	var devices object.VirtualDeviceList
	scsi, _ := devices.CreateSCSIController("pvscsi")
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), moref{},
		fmt.Sprintf("[%s] %s", datastore, path.Join(name, "disk1.vmdk")))
	disk.CapacityInKB = int64(s.DiskGiB) << 20
	card := &types.VirtualVmxnet3{}
	card.Backing = nic
	config := types.VirtualMachineConfigSpec{
		Name: name, GuestId: string(guestLinux), NumCPUs: 1, MemoryMB: 512, InstanceUuid: uuid.New().String(),
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + datastore + "]"},
	}
	config.DeviceChange, _ = object.VirtualDeviceList{scsi, disk, card}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	cluster := simulator.Map.Get(*host.Parent).(*simulator.ClusterComputeResource)
	result, err := s.finished(s.folder.CreateVMTask(s.ctx, &types.CreateVM_Task{
		This: s.folder.Self, Config: config, Pool: *cluster.ResourcePool, Host: &host.Self,
	}))
	if err != nil {
		return nil, err
	}
	vm := simulator.Map.Get(result.(moref)).(*simulator.VirtualMachine)
	vm.Config.ChangeVersion = "1" // each VM has one from its beginning
	return vm, nil
}

// finished is what a task of the simulator came to, which is done at once.
func (s *server) finished(body soap.HasFault) (types.AnyType, error) {
	result, fault := outcome(body)
	if fault != nil {
		return nil, fmt.Errorf("%T", fault)
	}
	return result, nil
}
