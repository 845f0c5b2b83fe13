# What try.sh checks, in a machine of its own under systemd: that docs/guide/systemd.md tells the truth.
set -u
failed=0
said() { echo "systemd: $1"; }
check() {
	local what=$1
	shift
	if "$@"; then said "ok: $what"; else
		said "FAILED: $what"
		systemctl status --no-pager chat 2>&1 | tail -n 25
		failed=1
	fi
}
# Waits until it is so, for ten seconds at most.
until_it() {
	for _ in $(seq 200); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}
of() { systemctl show -P "$1" chat; }
is() { [ "$(of "$1")" = "$2" ]; }
status_has() { [[ $(of StatusText) == *"$1"* ]]; }
logged() { journalctl --no-pager -o cat -u chat "${@:2}" | grep -qF -- "$1"; }
# A client that stays: says a line, and whether the answer has a word.
connect() { exec 3<>/dev/tcp/127.0.0.1/9501 && answers welcome; }
answers() {
	local line
	read -r -t 10 -u 3 line && [[ $line == *"$1"* ]]
}
asks() { echo "$1" >&3 && answers "$2"; }
titled() { pgrep -f "^ostler: $1 "; }
again() {
	systemctl stop chat.socket chat 2>/dev/null
	systemctl reset-failed 2>/dev/null
	systemctl daemon-reload
}

check "start returns when the server serves" systemctl start chat
check "its status is told" until_it status_has "serves: 0 open sessions, 2 workers"
check "it is a user without rights" test "$(stat -c %u "/proc/$(of MainPID)")" != 0
check "a client is served" connect
check "and has a name" asks "/name ada" "you are ada"

check "a reload is taken" systemctl reload chat
check "and done" until_it logged "reload finished: every worker is new"
check "the client is still there" asks /who ada

cp /usr/local/bin/chat /try/good
head -c 100000 /try/good >/usr/local/bin/chat.new
mv /usr/local/bin/chat.new /usr/local/bin/chat
check "a program that cannot check its options is no reload" eval '! systemctl reload chat 2>/dev/null'
kill -HUP "$(of MainPID)"
check "a program that is cut does not serve, and the status says so" until_it status_has "last reload: aborted"
check "that is a warning in the journal" logged "its end is missing" -p warning
check "and what is none is not" eval '! logged "serves worker" -p warning'
cp /try/good /usr/local/bin/chat.new
chmod 755 /usr/local/bin/chat.new
mv /usr/local/bin/chat.new /usr/local/bin/chat
check "the next good one is put into service" systemctl reload chat
check "and the status forgets the bad one" until_it eval 'status_has serves && ! status_has aborted'
check "the client is still there" asks /who ada

old=$(of MainPID)
kill -USR2 "$old"
check "a new master is the main process" until_it eval '[ "$(of MainPID)" != "$old" ] && [ "$(of SubState)" = running ]'
check "the client is with it" asks /who ada
check "the old one is gone" until_it eval '! kill -0 "$old" 2>/dev/null'
check "a stop ends it" systemctl stop chat
check "in order" is Result success
check "after a drain" logged "master books accepted=0 taken_over=1"
check "the client has seen the end" eval '! asks /who ada 2>/dev/null'

mkdir -p /run/systemd/system/chat.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/chat.service.d/watchdog.conf
for part in manager master; do
	again
	systemctl start chat
	pid=$(titled "$part")
	kill -STOP "$pid"
	check "a $part that stands still is found out" until_it is NRestarts 1
	check "and the server is started again" until_it is SubState running
done
again
systemctl start chat
old=$(of MainPID)
kill -USR2 "$old"
until_it eval '[ "$(of MainPID)" != "$old" ]'
check "a new master feeds the watchdog, and starves it" eval \
	'kill -STOP "$(titled manager | tail -n 1)" && until_it is NRestarts 1'

again
cp /etc/chat.toml /try/chat.toml
echo 'workerz = 3' >>/etc/chat.toml
check "a wrong option is no start" eval '! systemctl start chat 2>/dev/null'
check "of code 2" is ExecMainStatus 2
check "which is not tried again" eval 'is SubState failed && is NRestarts 0'
cp /try/chat.toml /etc/chat.toml

again
echo 'listen = "fd://chat"' >>/etc/chat.toml
check "the socket unit listens" systemctl start chat.socket
check "its first client starts the server" connect
check "which has the socket" logged "listening on tcp://0.0.0.0:9501"
exec 4<>/dev/tcp/127.0.0.1/9501
systemctl restart --no-block chat
exec 3<>/dev/tcp/127.0.0.1/9501
check "who comes during a restart is served" answers welcome
check "by the next server" until_it is SubState running
old=$(of MainPID)
kill -USR2 "$old"
check "a new master has the socket, too" until_it eval '[ "$(of MainPID)" != "$old" ]'
check "and serves it" connect
systemctl stop chat.socket chat
check "all end in order" is Result success
[ $failed = 0 ] && said "everything is as the guide says ($(systemctl --version | head -n 1))"
exit $failed
