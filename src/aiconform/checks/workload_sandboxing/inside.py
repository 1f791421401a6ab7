"""What the containers run: shell scripts of an image with busybox, which print one fact a line.

Nothing that a container tries does harm where it succeeds: parameters of the kernel are written with a value that is
one more than their own and put back, the module is no module, devices are only read, mounts are the container's own.
"""

from __future__ import annotations

from aiconform.kit.container_view import OPEN_OWN
from aiconform.kit.pods import STAY

LOOKED = "looked"
DONE = "done"
PULSE_THREADS = 100
"""Processes that the control Pod starts and ends again and again."""
PULSE_SHARED = 32 * 1024
"""KiB of shared memory that it takes and gives back with them."""
SAMPLES = 14
"""How often the sandboxed container reads its kernel's counters: through more than two pulses."""
SERVED, OWN_LOOPBACK = 8080, 8081
"""Ports of the control Pod's servers: for all, and on its loopback interface."""
KUBELET_HEALTH = 10248
SEARCH_SECONDS = 40
"""For how long files are searched at most: a node that is mounted whole has hundreds of mounts of its own."""
# Of the whole kernel, not of a namespace, and harmless with any value near their own. They are read by `cat`: the
# kernel gives a parameter to one read only, of which the shell's own `read` takes a single digit.
PARAMETERS = (
    "/proc/sys/vm/swappiness",
    "/proc/sys/fs/lease-break-time",
    "/proc/sys/kernel/printk_ratelimit_burst",
    "/sys/kernel/mm/ksm/sleep_millisecs",
)
# Of a node, and of no image: the folders and sockets of kubelets and container runtimes.
HOST_PATHS = (
    "/var/lib/kubelet/pods",
    "/etc/kubernetes",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/lib/containerd",
    "/var/lib/rancher",
)

_FACT = """
fact() { what=$1; shift; echo "fact $what $("$@" 2>/dev/null | head -c 16384 | base64 | tr -d '\\n')"; }
"""
# The counters of the kernel: by files of /proc, and shared memory by a call that no mount answers.
_SAMPLE = """
sample() {
  threads=-; forks=-; files=-
  read -r _ _ _ tasks _ < /proc/loadavg && threads=${tasks#*/}
  while read -r key value _; do [ "$key" = processes ] && forks=$value; done < /proc/stat
  files=$(cat /proc/sys/fs/file-nr) && files=${files%%[!0-9]*} || files=-
  echo "sample $threads $forks $files $(free | awk '/^Mem/ {print $5}')"
} 2>/dev/null
"""
KERNEL = f"""{_FACT}{_SAMPLE}
fact name uname -s
fact release uname -r
fact version uname -v
fact machine uname -m
fact banner cat /proc/version
fact boot cat /proc/sys/kernel/random/boot_id
fact started awk '$1 == "btime" {{print $2}}' /proc/stat
fact log sh -c 'dmesg | tail -n 40'
sample
"""
LOOK = f"""{KERNEL}
fact meminfo cat /proc/meminfo
fact told sh -c "free | awk '/^Mem/ {{print \\$2}}'"
fact user id -u
# Its own number; Kubernetes takes a dollar sign from two of them in a command.
read -r shell _ < /proc/self/stat
echo "shell $shell"
fact interfaces ip -o addr
fact devices find /dev -type b -o -type c
"""
# All processes without starting one for each: where the host's are visible, there are thousands.
_PROCESSES = """
for each in /proc/[0-9]*; do
  parent=0; name=
  while read -r key value _; do
    case $key in Name:) name=$value;; PPid:) parent=$value; break;; esac
  done < "$each/status"
  # It may have ended meanwhile.
  [ -n "$name" ] || continue
  printf 'process %s %s %.20s\\n' "${each#/proc/}" "$parent" "$name"
  case $name in aic-*)
    echo "environment ${each#/proc/} $(head -c 4096 "$each/environ" | base64 | tr -d '\\n')"
    echo "file $each/root/tmp/$MARK $(head -c 200 "$each/root/tmp/$MARK" | base64 | tr -d '\\n')";;
  esac
done 2>/dev/null
"""
# Files of the control Pod, and paths of a node, below every mount that is none of the kernel's own.
_SEARCH = f"""
echo own > "/tmp/$MARK"
end=$(($(date +%s) + {SEARCH_SECONDS}))
awk '{{print $5}}' /proc/self/mountinfo | sort -u | while read -r mount; do
  [ "$(date +%s)" -lt "$end" ] || break
  case $mount in /proc|/proc/*|/sys|/sys/*|/dev|/dev/pts*|/dev/mqueue*) continue;; esac
  echo "searched $mount"
  for path in {" ".join(HOST_PATHS)}; do
    [ -e "${{mount%/}}$path" ] && echo "host ${{mount%/}}$path"
  done
  # Identities of the node, which its kubelet reports.
  for identity in "/etc/machine-id $MACHINE" "/proc/sys/kernel/random/boot_id $BOOT"; do
    path=${{mount%/}}${{identity%% *}}; found=
    # The container's own /proc tells its kernel.
    [ "$path" = "${{identity%% *}}" ] && [ "${{path#/proc}}" != "$path" ] && continue
    read -r found < "$path"
    [ -n "$found" ] && [ "$found" = "${{identity#* }}" ] && echo "host $path"
  done 2>/dev/null
  pods=${{mount%/}}/var/lib/kubelet/pods/$VICTIM
  for folder in "$pods" "$mount"; do
    [ -e "$folder" ] || continue
    timeout 4 find "$folder" -xdev -name "$MARK" -type f 2>/dev/null | head -n 20 | while read -r path; do
      echo "file $path $(head -c 200 "$path" 2>/dev/null | base64 | tr -d '\\n')"
    done
  done
done
"""
# By nc, to addresses: busybox's wget and its look-up of names do not work in every build.
_FETCH = """
ask() { printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$3" "$1" | timeout 5 nc -w 4 "$1" "$2" 2>&1 | head -c 600; }
fetch() { echo "fetch $1 $(ask "$2" "$3" "$4" | base64 | tr -d '\\n')"; }
"""
_FETCHES = f"""{_FETCH}
# A Service needs a moment until all nodes know where its Pods are.
fetch_service() {{
  for _ in 1 2 3 4; do
    answer=$("$2")
    case $answer in *"$SERVED_WORD"*) break;; esac
    sleep 1
  done
  echo "fetch $1 $(printf %s "$answer" | base64 | tr -d '\\n')"
}}
by_address() {{ ask "$SERVICE_ADDRESS" 80 /; }}
by_name() {{
  domain=$(awk '$1 == "search" {{for (i = 2; i <= NF; i++) if ($i ~ /^svc[.]/) {{print $i; exit}}}}' /etc/resolv.conf)
  said=$(timeout 4 nslookup "$SERVICE_NAME.${{domain:-svc.cluster.local}}" 2>&1)
  found=$(echo "$said" | awk '/^Name/ {{named = 1}} named && sub(/^Address[ 0-9]*: */, "") {{print $1; exit}}')
  if [ -n "$found" ]; then ask "$found" 80 /; else echo "not resolved: $said"; fi
}}
connect() {{
  for _ in 1 2 3; do
    if said=$(timeout 5 nc -w 3 "$2" "$3" < /dev/null 2>&1 > /dev/null); then said=connected; break; fi
    sleep 1
  done
  echo "fetch $1 $(printf %s "${{said:-no answer}}" | tail -n 1 | head -c 200 | base64 | tr -d '\\n')"
}}
services() {{
  fetch_service service-name by_name &
  fetch_service service-address by_address &
  connect api "$KUBERNETES_SERVICE_HOST" "${{KUBERNETES_SERVICE_PORT:-443}}" &
  fetch metadata 169.254.169.254 80 / &
}}
"""
_HELD = """
attempt() {
  what=$1; shift
  said=$(timeout 5 "$@" 2>&1 > /dev/null); code=$?
  echo "attempt $what $code $(printf %s "$said" | tail -n 1 | head -c 200 | tr '\\n' ' ')"
}
"""
_ATTEMPTS = f"""{_HELD}
mkdir -p /tmp/m; echo none > /tmp/none.ko
attempt mount-tmpfs mount -t tmpfs none /tmp/m
attempt mount-proc mount -t proc none /tmp/m
attempt mount-sysfs mount -t sysfs none /tmp/m
attempt mount-debugfs mount -t debugfs none /tmp/m
attempt mount-cgroup mount -t cgroup2 none /tmp/m
attempt mount-bpf mount -t bpf none /tmp/m
attempt bind-mount mount -o bind /etc /tmp/m
attempt user-namespace unshare -U -r true
attempt mount-in-user-namespace unshare -U -r -m mount -t tmpfs none /tmp/m
attempt enter-process-1 nsenter -t 1 -m -n true
attempt read-keys grep -q . /proc/keys
attempt load-module insmod /tmp/none.ko
attempt read-kernel-log dmesg
attempt write-kernel-log sh -c 'mknod /tmp/kmsg c 1 11 && echo aiconform > /tmp/kmsg'
# Of one byte: where a runtime masks a file, it can be opened and is empty.
byte='head -c 1 "$0" | wc -c | grep -q 1'
attempt read-mem sh -c "$byte" /dev/mem
made='mknod "$0" c 1 1'
attempt read-made-mem sh -c "$made && $byte" /tmp/mem
# Opened only: on some machines reading a port stops the kernel.
attempt open-made-port sh -c 'mknod /tmp/port c 1 4 && : < /tmp/port'
attempt read-kcore sh -c "$byte" /proc/kcore
for each in $(find /dev -type b 2>/dev/null | head -n 8); do
  attempt "read-block:$each" sh -c "$byte" "$each"
done
i=0
for number in $BLOCKS; do
  i=$((i + 1))
  made='mknod "$0" b "${{1%:*}}" "${{1#*:}}"'
  attempt "read-made-block:$number" sh -c "$made && $byte" "/tmp/block-$i" "$number"
done
for _ in 1 2 3 4 5 6 7 8; do umount /tmp/m || break; done 2>/dev/null
"""
# Each is one more for a second and a half, in which the control container reads them several times.
_PARAMETERS = f"""
paths="{" ".join(PARAMETERS)}"
kept=
for path in $paths; do
  value=$(cat "$path")
  case $value in ""|*[!0-9]*) false;; esac || {{ echo "attempt write:$path 2 not there"; continue; }}
  said=$( (echo $((value + 1)) > "$path") 2>&1); code=$?
  echo "attempt write:$path $code $(printf %s "$said" | tail -n 1 | head -c 200)"
  [ $code = 0 ] && kept="$kept $path=$value"
done 2>/dev/null
if [ -n "$kept" ]; then
  put_back() {{ for each in $kept; do echo "${{each##*=}}" > "${{each%=*}}"; done; }}
  trap 'put_back; exit 0' TERM INT
  sleep 1.5 & wait $!
  put_back
fi
"""
TRIAL = f"{KERNEL}echo {LOOKED}; {STAY}"
"""Only which kernel it is."""
ACCELERATED = f"{KERNEL}{OPEN_OWN}echo {LOOKED}; {STAY}"
"""Which kernel it is, and what opening its device nodes gives."""
# Processes first, while the container has none but its shell.
ATTACKER = f"""{LOOK}{_PROCESSES}{_FETCHES}
services
fetch victim "$VICTIM_ADDRESS" {SERVED} / &
fetch victim-loopback 127.0.0.1 {OWN_LOOPBACK} / &
fetch host-loopback 127.0.0.1 "$HOST_PORT" / &
fetch kubelet-health 127.0.0.1 {KUBELET_HEALTH} /healthz &
(i=0; while [ $i -lt {SAMPLES} ]; do i=$((i + 1)); sample; sleep 0.4; done) &
{_SEARCH}{_ATTEMPTS}{_PARAMETERS}
wait
echo {DONE}; {STAY}
"""
# Its secret is in its memory, its environment, in files of its own, and its name in that of its process.
CONTROL = f"""{LOOK}{_FETCHES}
mkdir -p /tmp/all /tmp/own
echo "$SERVED_WORD" > /tmp/all/index.html
echo "$LOOPBACK_WORD" > /tmp/own/index.html
httpd -p {SERVED} -h /tmp/all
httpd -p 127.0.0.1:{OWN_LOOPBACK} -h /tmp/own
for folder in /tmp /shared /dev/shm; do echo "$SECRET" > "$folder/$MARK"; done
printf %s "$VICTIM_NAME" > /proc/self/comm
fetch victim-loopback 127.0.0.1 {OWN_LOOPBACK} /
awk '{{print "block " $3}}' /proc/self/mountinfo | sort -u
echo {LOOKED}
services
read_parameters() {{
  for path in {" ".join(PARAMETERS)}; do
    value=$(cat "$path")
    [ -n "$value" ] && echo "parameter $path $value"
  done
}} 2>/dev/null
while :; do
  started=
  i=0; while [ $i -lt {PULSE_THREADS} ]; do i=$((i + 1)); sleep 3600 & started="$started $!"; done
  dd if=/dev/zero of=/dev/shm/pulse bs=1024 count={PULSE_SHARED} 2>/dev/null
  for _ in 1 2; do sample; read_parameters; sleep 0.4; done
  kill $started; wait $started 2>/dev/null
  rm -f /dev/shm/pulse
  for _ in 1 2; do sample; read_parameters; sleep 0.4; done
done & loop=$!
trap 'kill $loop; exit 0' TERM INT
# Without its pulses it says nothing of the sandbox: it ends with them.
wait $loop; exit 1
"""
LISTENER = f"""
mkdir -p /tmp/own
echo "$HOST_WORD" > /tmp/own/index.html
httpd -p "127.0.0.1:$HOST_PORT" -h /tmp/own
{_FETCH}
fetch host-loopback 127.0.0.1 "$HOST_PORT" /
echo {LOOKED}; {STAY}
"""
