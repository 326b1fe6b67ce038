#!/usr/bin/env bash
# A real Slurm of one node on this machine, for the tests: munge, slurmctld and slurmd as Debian packages them.
#
#   one_machine_slurm.sh          starts it; does nothing where a Slurm already answers
#   one_machine_slurm.sh stop     ends what it started
#
# Run it as root; it needs no systemd and no cgroups. The configuration has to stand in /etc/slurm, for an exported
# SLURM_CONF is not handed on to srun; a slurm.conf that is not this script's own is left alone, with a message.
set -euo pipefail

CONF=/etc/slurm/slurm.conf
MARK="# One-machine Slurm, written by one_machine_slurm.sh"
STATE=/var/lib/scorepath-slurm
MUNGE_PID=/run/munge/munged.pid

fail() {
    echo "one_machine_slurm.sh: $*" >&2
    exit 1
}

wait_for() { # up to 20 s
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    return 1
}

stop() { # the daemon whose process id is in this file
    if [ -e "$1" ]; then
        kill "$(cat "$1")" 2>/dev/null || true
        wait_for test ! -e "$1" || rm -f "$1"
    fi
}

node_is_up() { timeout 5 sinfo --noheader --states=idle,alloc,mix --format=%n 2>/dev/null | grep -q .; }

start_munge() {
    if munge --no-input >/dev/null 2>&1; then return; fi
    [ -e /etc/munge/munge.key ] || mungekey --create
    for folder in /etc/munge /var/lib/munge /var/log/munge /run/munge; do
        install -d -o munge -g munge -m 0755 "$folder"
    done
    chmod 0700 /etc/munge /var/log/munge
    chown munge: /etc/munge/munge.key
    runuser -u munge -- munged
    wait_for munge --no-input || fail "munged does not answer; its log is in /var/log/munge"
}

# Memory is enforced by watching the processes of a step (OverMemoryKill), since containers often lack cgroups. The
# intervals are short: the tests wait for the scheduler, for memory to be noticed and for killed jobs to end.
write_configuration() {
    local name memory
    name=$(hostname -s)
    memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    mkdir -p "$(dirname $CONF)"
    cat >$CONF <<CONFIGURATION
$MARK
ClusterName=scorepath
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MinJobAge=300
KillWait=2
ReturnToService=1
StateSaveLocation=$STATE/slurmctld
SlurmdSpoolDir=$STATE/slurmd
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
NodeName=$name NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$name Default=YES MaxTime=INFINITE DefMemPerCPU=1000 State=UP
CONFIGURATION
}

PATH=$PATH:/usr/sbin
for command in munged slurmctld slurmd sbatch; do
    command -v $command >/dev/null || fail "no $command: apt-get install munge slurmctld slurmd slurm-client"
done

if [ "${1:-start}" = start ] && node_is_up; then exit 0; fi
[ "$(id -u)" -eq 0 ] || fail "run it as root"
if [ -e $CONF ] && ! grep -qsF "$MARK" $CONF; then
    fail "$CONF is another Slurm's, and no node of it is up: start that Slurm, or move the file away"
fi

stop $STATE/slurmd.pid
stop $STATE/slurmctld.pid
if [ "${1:-start}" = stop ]; then
    stop $MUNGE_PID
    rm -f $CONF # or Snakemake's Slurm plugin would ask a controller that is gone, 9 s at each of its starts
    exit 0
fi

start_munge
mkdir -p $STATE/slurmctld $STATE/slurmd
write_configuration
slurmctld -c # without the jobs of an earlier time
wait_for scontrol ping || fail "slurmctld does not answer; its log is $STATE/slurmctld.log"
slurmd
wait_for node_is_up || fail "the node does not come up: sinfo -R, $STATE/slurmctld.log, $STATE/slurmd.log"
