// The exporter of the lab's simulated accelerators: how busy each one is, measured from who holds its device open.
//
// It runs on each node as vendors' exporters do: a DaemonSet that sees the node's processes. What the devices are, and
// under which names and labels they are reported, is in a file that the node's accelerators keep (TELEMETRY).
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	every  = time.Second
	window = 2 // measurements in a mean: two seconds
)

type device struct {
	Major  uint32  `json:"major"`
	Minor  uint32  `json:"minor"`
	Memory float64 `json:"memory"`
}

// A sample of a series: a quantity of a device (by its position), or with device -1 the mean of all.
type sample struct {
	Device int     `json:"device"`
	Of     string  `json:"of"`
	Scale  float64 `json:"scale"`
	Labels string  `json:"labels"`
}

type series struct {
	Name    string   `json:"name"`
	Help    string   `json:"help"`
	Samples []sample `json:"samples"`
}

// What the file says. Cgroup is the one of the node's Pods, below /sys/fs/cgroup. Defect is a deliberate one of the lab,
// empty on a healthy lab.
type telemetry struct {
	Cgroup  string   `json:"cgroup"`
	Devices []device `json:"devices"`
	Series  []series `json:"series"`
	Defect  string   `json:"defect"`
}

type exporter struct {
	file    string
	cgroups string // where the node's /sys/fs/cgroup is mounted

	mutex  sync.Mutex
	past   map[uint64][]float64 // the last measurements of a device number: 100 if held open, 0 if not
	peaks  map[int]float64
	defect string
}

func (e *exporter) read() telemetry {
	var found telemetry
	content, err := os.ReadFile(e.file)
	if err == nil {
		err = json.Unmarshal(content, &found)
	}
	if err != nil {
		log.Printf("reading %s: %v", e.file, err)
	}
	return found
}

// number is a device's number as the kernel packs it.
func number(major, minor uint32) uint64 {
	return uint64(minor&0xff) | uint64(major&0xfff)<<8 | uint64(minor&^uint32(0xff))<<12 | uint64(major&^uint32(0xfff))<<32
}

// processes has the pids of the cgroup and of all below it. What else runs on the node, such as its container runtime with
// its many open files, uses no device and is not looked at.
func processes(cgroup string) []string {
	var found []string
	_ = filepath.WalkDir(cgroup, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			content, _ := os.ReadFile(filepath.Join(path, "cgroup.procs")) // gone meanwhile
			found = append(found, strings.Fields(string(content))...)
		}
		return nil
	})
	return found
}

// held has the numbers of the devices that some of these processes hold open now.
func held(wanted map[uint64]bool, pids []string) map[uint64]bool {
	found := map[uint64]bool{}
	for _, pid := range pids {
		folder := filepath.Join("/proc", pid, "fd")
		entries, err := os.ReadDir(folder) // gone meanwhile
		if err != nil {
			continue
		}
		for _, entry := range entries {
			var status syscall.Stat_t
			if syscall.Stat(filepath.Join(folder, entry.Name()), &status) != nil {
				continue
			}
			if status.Mode&syscall.S_IFMT == syscall.S_IFCHR && wanted[status.Rdev] {
				found[status.Rdev] = true
			}
		}
	}
	return found
}

func (e *exporter) measure() {
	wanted := map[uint64]bool{}
	from := e.read()
	for _, each := range from.Devices {
		wanted[number(each.Major, each.Minor)] = true
	}
	now := held(wanted, processes(filepath.Join(e.cgroups, from.Cgroup)))
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for each := range wanted {
		value := 0.0
		if now[each] {
			value = 100
		}
		past := append(e.past[each], value)
		e.past[each] = past[max(0, len(past)-window):]
	}
}

// utilization is what is true, and what is told: the same unless the lab has a defect.
func (e *exporter) utilization(from telemetry) (measured, told []float64) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, each := range from.Devices {
		past, sum := e.past[number(each.Major, each.Minor)], 0.0
		for _, value := range past {
			sum += value
		}
		measured = append(measured, sum/float64(max(1, len(past))))
	}
	if e.defect != from.Defect {
		e.defect, e.peaks = from.Defect, map[int]float64{}
	}
	for position, value := range measured {
		switch from.Defect {
		case "frozen":
			value = 37
		case "next":
			value = measured[(position+len(measured)-1)%len(measured)]
		case "peak":
			value = max(value, e.peaks[position])
			e.peaks[position] = value
		case "all":
			for _, other := range measured {
				value = max(value, other)
			}
		}
		told = append(told, value)
	}
	return measured, told
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := e.read()
	if from.Defect == "garbage" {
		fmt.Fprint(w, "<html><body>no metrics here</body></html>\n")
		return
	}
	measured, told := e.utilization(from)
	value := func(of string, position int) float64 {
		switch of {
		case "utilization":
			return told[position]
		case "memory_used":
			return from.Devices[position].Memory * (0.01 + 0.006*measured[position])
		case "memory_total":
			return from.Devices[position].Memory
		case "temperature":
			return 34 + 0.3*measured[position]
		case "power":
			return 55 + 2.4*measured[position]
		}
		return 0
	}
	var page strings.Builder
	for _, each := range from.Series {
		fmt.Fprintf(&page, "# HELP %s %s\n# TYPE %s gauge\n", each.Name, each.Help, each.Name)
		for _, one := range each.Samples {
			result := 0.0
			if one.Device >= 0 {
				result = value(one.Of, one.Device)
			} else {
				for position := range from.Devices {
					result += value(one.Of, position) / float64(len(from.Devices))
				}
			}
			fmt.Fprintf(&page, "%s{%s} %g\n", each.Name, one.Labels, result*one.Scale)
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprint(w, page.String())
}

func main() {
	exporter := &exporter{
		file:    os.Getenv("TELEMETRY"),
		cgroups: os.Getenv("CGROUPS"),
		past:    map[uint64][]float64{},
		peaks:   map[int]float64{},
	}
	go func() {
		for {
			exporter.measure()
			time.Sleep(every)
		}
	}()
	http.Handle("/metrics", exporter)
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
