// A vSphere API server for tests: a vCenter with racks of ESXi hosts, in memory.
//
// Inventory, SOAP, sessions, the property collector and views are the simulator package's of Debian's
// govmomi. What that version does not do, or does otherwise than a vCenter, is added in front of it:
// tasks that take time (tasks.go), what they come to (vms.go), guests (guests.go), faults on demand
// (rules.go) and changes from outside (control.go). It ends when its standard input does.
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"io"
	"io/ioutil"
	"log"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vmware/govmomi/simulator"
)

// shape is what the command line says about the world.
type shape struct {
	Clusters, Hosts, VMs, Datastores, Networks, Templates int

	On, DRS                          bool
	Mode                             string // of DRS
	HostCores, HostMHz, HostMiB      int
	DatastoreGiB, DiskGiB            int
	TaskMS, BootMS, ShutdownMS, Wait int
}

func flags() (*shape, map[string]*string, *time.Duration, *bool) {
	s, text := new(shape), map[string]*string{}
	for _, each := range []struct {
		to    *int
		name  string
		value int
		means string
	}{
		{&s.Clusters, "clusters", 2, "clusters: rack-1 and on"},
		{&s.Hosts, "hosts", 2, "hosts of each cluster: esxi-1-1 and on, each with a datastore local-1-1"},
		{&s.VMs, "vms", 2, "VMs of each cluster: vm-1-1 and on"},
		{&s.Datastores, "datastores", 2, "datastores that all hosts of a cluster share: shared-1-1 and on"},
		{&s.Networks, "networks", 2, "distributed port groups beside the plain VM Network: lan-1 and on"},
		{&s.Templates, "templates", 1, "templates: template-1 and on, in the datastore library of all hosts"},
		{&s.HostCores, "host-cores", 16, "cores of a host"},
		{&s.HostMHz, "host-mhz", 2600, "MHz of a core"},
		{&s.TaskMS, "task-ms", 0, "how long each task takes; 0: it is done when the call returns"},
		{&s.BootMS, "boot-ms", 0, "how long after power on the guest tools run"},
		{&s.ShutdownMS, "shutdown-ms", 0, "how long a guest takes to shut down"},
		{&s.Wait, "delay-ms", 0, "added to every call"},
		{&s.HostMiB, "host-mib", 65536, "memory of a host"},
		{&s.DatastoreGiB, "datastore-gib", 1024, "size of each datastore"},
		{&s.DiskGiB, "disk-gib", 1, "size of the disk of each VM and template"},
	} {
		flag.IntVar(each.to, each.name, each.value, each.means)
	}
	flag.BoolVar(&s.On, "vms-on", true, "those VMs run")
	flag.BoolVar(&s.DRS, "drs", false, "DRS of the clusters is enabled")
	flag.StringVar(&s.Mode, "drs-mode", "fullyAutomated", "fullyAutomated, partiallyAutomated or manual")
	for _, each := range [][3]string{
		{"home", ".", "an empty folder for the datastores' files"},
		{"listen", "127.0.0.1:0", "address"},
		{"user", "vmgate@lab.local", "the only user"},
		{"password", "pass", "its password"},
		{"cert", "tls.crt", "certificate, PEM"},
		{"key", "tls.key", "its key, PEM"},
	} {
		text[each[0]] = flag.String(each[0], each[1], each[2])
	}
	idle := flag.Duration("session-idle", 0, "sessions end after so long without a call; 0: never")
	verbose := flag.Bool("v", false, "the simulator logs to standard error")
	flag.Parse()
	return s, text, idle, verbose
}

func main() {
	s, text, idle, verbose := flags()
	if !*verbose {
		log.SetOutput(ioutil.Discard)
	}
	pair, err := tls.LoadX509KeyPair(*text["cert"], *text["key"])
	must(err)
	*text["home"], err = filepath.Abs(*text["home"])
	must(err)
	must(os.Chdir(*text["home"]))
	simulator.SessionIdleTimeout = *idle

	model := simulator.VPX() // only its service: the inventory is ours
	model.Datacenter = 0
	must(model.Create())
	setHardware(s)
	server := newServer(s)
	must(server.build())
	addChecker()
	simulator.Map.AddHandler(changes)

	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	model.Service.Listen = &url.URL{Host: *text["listen"], User: url.UserPassword(*text["user"], *text["password"])}
	http := model.Service.NewServer()
	server.next = http.Config.Handler
	http.Config.Handler = server
	http.Config.ErrorLog = log.New(os.Stderr, "", log.LstdFlags) // what went wrong, without the simulator's talk
	address := *http.URL
	address.User = nil
	must(json.NewEncoder(os.Stdout).Encode(map[string]string{"url": address.String()}))

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	go func() { // whoever started us holds the other end
		_, _ = io.Copy(ioutil.Discard, os.Stdin)
		ended <- syscall.SIGTERM
	}()
	<-ended
	_ = os.RemoveAll(*text["home"])
}

func must(err error) {
	if err != nil {
		log.SetOutput(os.Stderr)
		log.Fatal(err)
	}
}
