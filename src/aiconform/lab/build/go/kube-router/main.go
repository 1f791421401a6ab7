// The NetworkPolicy controller of kube-router, without its routes and Services: it enforces NetworkPolicies on one node
// by iptables and ipset. The environment variable NODE_NAME names the Node. It is called as k3s calls it: https://github.com/k3s-io/k3s/tree/master/pkg/agent/netpol
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/v2/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/v2/pkg/options"
	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const neighbours = "LAB-NEIGHBOURS"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the cluster; by the Pod's ServiceAccount if empty")
	services := flag.String("services", "", "CIDR of the Services' addresses")
	ipv6 := flag.Bool("ipv6", false, "all addresses are of IPv6")
	flag.Parse()

	config := options.NewKubeRouterConfig()
	config.ClusterIPCIDRs = []string{*services}
	config.NodePortRange = "30000-32767"
	config.IPTablesSyncPeriod = time.Minute
	config.EnableIPv4, config.EnableIPv6 = !*ipv6, *ipv6
	if err := enforce(config, *kubeconfig); err != nil {
		log.Fatal(err)
	}
}

// enforce returns when the process is to end, and leaves no rule that denies.
func enforce(config *options.KubeRouterConfig, kubeconfig string) error {
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	tables, sets, err := netpol.NewIPTablesHandlers(config)
	if err != nil {
		return err
	}
	if config.EnableIPv6 {
		if err := letNeighboursBeFound(tables[v1.IPv6Protocol]); err != nil {
			return err
		}
		unprefixed, err := utils.NewIPSet(false)
		if err != nil {
			return err
		}
		sets[v1.IPv6Protocol] = ipv6Sets{unprefixed}
	}

	ended := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	controller, err := netpol.NewNetworkPolicyController(
		client, config, pods, policies, namespaces, &sync.Mutex{}, tables, sets)
	if err != nil {
		return err
	}
	for informer, handler := range map[cache.SharedIndexInformer]cache.ResourceEventHandler{
		pods:       controller.PodEventHandler,
		policies:   controller.NetworkPolicyEventHandler,
		namespaces: controller.NamespaceEventHandler,
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ended)
	factory.WaitForCacheSync(ended)

	beats := make(chan *healthcheck.ControllerHeartbeat)
	go func() {
		for range beats {
		}
	}()
	var running sync.WaitGroup
	running.Add(1)
	go controller.Run(beats, ended, &running)

	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM)
	<-asked
	close(ended)
	running.Wait()
	controller.Cleanup()
	return nil
}

// ipv6Sets are the sets of IPv6 under the names by which the rules of this release ask for them: it makes them under
// these names after a prefix. https://github.com/cloudnativelabs/kube-router/issues/1653
type ipv6Sets struct{ *utils.IPSet }

func (sets ipv6Sets) RefreshSet(name string, entries [][]string, kind string) {
	sets.IPSet.RefreshSet(name, entries, kind)
	if set := sets.Get(name); !slices.Contains(set.Options, utils.FamillyInet6) {
		set.Options = append(set.Options, "family", utils.FamillyInet6)
	}
}

// letNeighboursBeFound marks what finds the machines on a link as allowed (0x10000 is kube-router's mark for that): no
// NetworkPolicy is about it, and without it a Pod that may send nothing would lose its gateway.
// https://github.com/cloudnativelabs/kube-router/issues/1895
func letNeighboursBeFound(tables utils.IPTablesHandler) error {
	// A chain of its own: to iptables-legacy, rules that differ in the type of ICMPv6 alone are the same.
	if err := tables.ClearChain("mangle", neighbours); err != nil {
		return err
	}
	for _, kind := range []string{"neighbour-solicitation", "neighbour-advertisement"} {
		rule := []string{"-p", "icmpv6", "--icmpv6-type", kind, "-j", "MARK", "--set-xmark", "0x10000/0x10000"}
		if err := tables.Append("mangle", neighbours, rule...); err != nil {
			return err
		}
	}
	return tables.AppendUnique("mangle", "INPUT", "-j", neighbours)
}
