#!/bin/bash
# Runs the unit files of this directory under a real systemd: the one of this machine, as process 1 of namespaces of its own, over a
# copy-on-write view of this machine's files. It needs root, and neither a network nor anything of the systemd that may run here.
#   dist/systemd/try.sh PATH-OF-THE-CHAT-EXAMPLE
# `make systemd` builds the example and calls it. Where systemd cannot be had it says NOT CHECKED, and that is no failure.
set -eu
here=$(dirname "$(readlink -f "$0")")

if [ "${1:-}" != --inside ]; then
	program=$(readlink -f "$1")
	skip() { echo "systemd: NOT CHECKED: $1"; exit 0; }
	[ "$(id -u)" = 0 ] || skip "this needs root"
	[ -x /lib/systemd/systemd ] || skip "there is no systemd (apt-get install systemd)"
	for tool in unshare nsenter systemctl journalctl pgrep; do
		command -v "$tool" >/dev/null || skip "there is no $tool"
	done
	groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[ -n "$groups" ] && mkdir "$groups/ostler-try-$$" 2>/dev/null || skip "there is no cgroup2 to write to"
	place=$(mktemp -d)
	cp "$program" "$place/chat"
	cp "$here/chat.service" "$here/chat.socket" "$place"
	booted=
	finish() {
		[ -z "$booted" ] || kill -9 "$booted" 2>/dev/null || true
		for _ in $(seq 100); do
			find "$groups/ostler-try-$$" -depth -type d -exec rmdir {} + 2>/dev/null && break
			sleep 0.1
		done
		rm -rf "$place"
	}
	trap finish EXIT
	# The shell that becomes it is in the group, and what waits for it is not.
	unshare --fork --kill-child --pid --mount --cgroup --uts --ipc --net \
		"$0" --inside "$place" "$groups/ostler-try-$$" >"$place/boot" 2>&1 </dev/null &
	booted=$!
	disown
	for _ in $(seq 300); do
		[ -e "$place/up" ] || kill -0 "$booted" 2>/dev/null || break
		first=$(pgrep -P "$booted" || true)
		if [ -n "$first" ] && [ "$(cat "/proc/$first/comm")" = systemd ]; then
			enter=(nsenter -t "$first" --mount --uts --ipc --net --pid --cgroup --root)
			"${enter[@]}" /usr/bin/systemctl is-active -q systemd-journald 2>/dev/null && break
		fi
		sleep 0.1
	done
	if [ -z "${enter:-}" ]; then
		tail -n 3 "$place/boot" >&2
		skip "systemd does not start here"
	fi
	"${enter[@]}" /usr/bin/env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /bin/bash "/try/checks"
	exit
fi

# ---- in the namespaces: becomes systemd -----------------------------------------------------------
place=$2 group=$3
echo $$ >"$group/cgroup.procs"
# The name space of groups begins where its first process is.
exec unshare --cgroup bash -c '
set -eu
place=$1 here=$2
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
root=/mnt/root
for directory in proc sys dev run tmp old try; do mkdir -p "$root/$directory"; done
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
# Nothing of what this machine starts, mounts or logs.
mount -t tmpfs -o mode=755 tmpfs "$root/etc/systemd"
mount -t tmpfs -o mode=755 tmpfs "$root/try"
mkdir "$root/etc/systemd/system"
: >"$root/etc/fstab"
rm -rf "$root/var/log/journal"
printf "[Journal]\nStorage=volatile\nRateLimitBurst=0\n" >"$root/etc/systemd/journald.conf"
printf "[Unit]\nWants=systemd-journald.socket systemd-journald.service\nDefaultDependencies=no\n" \
	>"$root/etc/systemd/system/try.target"
cp "$place/chat" "$root/usr/local/bin/chat"
cp "$place/chat.service" "$place/chat.socket" "$root/etc/systemd/system"
cp "$here/checks.sh" "$root/try/checks"
printf "start = \"exec\"\nlog_format = \"journald\"\n" >"$root/etc/chat.toml"
ip link set lo up 2>/dev/null || true
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=ostler-try PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
	/lib/systemd/systemd --unit=try.target --log-target=console
' bash "$place" "$here"
