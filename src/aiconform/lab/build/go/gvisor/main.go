// The shim of gVisor: containerd runs it as containerd-shim-runsc-v1.
package main

import (
	"context"
	"os"
	"strconv"
	_ "unsafe" // for linkname

	"github.com/containerd/containerd/v2/pkg/shim"
	_ "github.com/moby/sys/userns"
	runsc "gvisor.dev/gvisor/pkg/shim/v1"
	_ "gvisor.dev/gvisor/pkg/shim/v1/plugin"
)

const own = "/proc/self/oom_score_adj"

// The answer to RunningInUserNS. Where it is true, the shim goes on if its OOM score cannot be lowered.
//
//go:linkname inUserNS github.com/moby/sys/userns.inUserNS
var inUserNS func() bool

func main() {
	if !canLower() {
		// Like a user namespace, a machine without CAP_SYS_RESOURCE does not let it.
		inUserNS = func() bool { return true }
	}
	shim.Run(context.Background(), runsc.NewShimManager("io.containerd.runsc.v1"))
}

// canLower tells whether this process can lower its OOM score, by lowering it and setting it back.
func canLower() bool {
	before, err := os.ReadFile(own)
	if err != nil {
		return false
	}
	if err := os.WriteFile(own, []byte(strconv.Itoa(-1000)), 0); err != nil {
		return false
	}
	return os.WriteFile(own, before, 0) == nil
}
