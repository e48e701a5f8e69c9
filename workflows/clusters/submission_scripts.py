"""The batch scripts of a submitted run, in bash. Values are written once, quoted, at the top of ``steps.sh``.

``steps.sh`` holds what the others share; ``submit.sh`` starts everything; ``run.sh`` is the job that ends with a
shortlist; ``prepare.sh`` and ``share.sh`` come before it where the first stage is spread over a job array.

Each ``run.sh`` submits the next one at its start, to begin if this one fails: whatever ends a job (a notice before the
wall-time, the wall-time itself, a node that dies), the run goes on. With an array, ``run.sh`` looks whether every task
has left its mark and submits the array again if not. Marks are files in ``submission/``: ``prepare.done``,
``share-3.done``, ``refused``; the run is complete when ``run.json`` and
``report.html`` are there.
"""

from __future__ import annotations

STEPS = r"""

say() {
    printf '%s matloop: %s\n' "$(date '+%F %T')" "$*"
}

# Loads environment modules; a shell of a job may not have been told where they are.
load_modules() {
    local file
    for file in "${MODULESHOME-}/init/bash" /etc/profile.d/{modules,lmod,z00_lmod}.sh; do
        type module >/dev/null 2>&1 && break
        [ ! -r "$file" ] || . "$file"
    done
    module load "$@" || { say "module load $* failed"; exit 1; }
}

# Submits a step, prints its job id and writes it down: submit STEP [afterok|afternotok|afterany JOB]
submit() {
    local script=$notes/$1.sh options=() answer id
    [ -z "${2-}" ] || depend "$2" "$3"
    answer=$(cd "$notes/logs" && submit_script) || return
    id=$(job_number)
    echo "$1 $id ${2-} ${3-}" >>"$notes/jobs.txt"
    echo "$id"
}

# Submits what is to be done first: all of it, or preparation, array and last job.
submit_round() {
    local last
    if [ -z "$shares" ]; then
        submit run
        return
    fi
    if [ -e "$notes/prepare.done" ]; then
        last=$(submit share) || return
    else
        last=$(submit prepare) || return
        last=$(submit share afterok "$last") || return
    fi
    submit run afterany "$last"
}

# Runs a command so that a signal of the queue reaches it at once; leaves its exit code in $status. A refusal with a
# code is also left in a file: any other failure, such as a file system that goes away, may mend by the next job.
work() {
    local child= told= code
    export MATLOOP_REFUSAL=$notes/.refusal-$job-$task
    rm -f "$MATLOOP_REFUSAL"
    trap 'told=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM USR1 USR2
    "$@" &
    child=$!
    [ -z "$told" ] || kill -TERM "$child"
    status=
    while :; do
        told=
        wait "$child"
        code=$?
        [ $code = 127 ] && [ -n "$status" ] || status=$code
        [ -n "$told" ] || break
    done
    trap - TERM USR1 USR2
}

# Leaves a mark if a step is done, or refused for good: no other job would do better. Whoever is refused because another
# process has the run says nothing of the run itself.
mark() {
    say "$1: exit code $status"
    if [ "$status" = 0 ]; then
        touch "$notes/$1.done"
    elif [ -s "$MATLOOP_REFUSAL" ] && ! in_use "$lock"; then
        echo "$1, job $job: $(head -c 80 "$MATLOOP_REFUSAL"), exit code $status" >>"$notes/refused"
    fi
    rm -f "$MATLOOP_REFUSAL"
}

# Whether a process that may be alive holds a lock. On another machine it is gone after two silent minutes; of a lock
# with a time stamp in the future matloop finds out by watching it.
in_use() {
    local pid
    [ -n "$(find "$1" -newermt '-130 seconds' ! -newermt '+130 seconds' 2>/dev/null)" ] || return
    grep -q "\"host\": \"$(uname -n)\"" "$1" 2>/dev/null || return 0
    pid=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$1" 2>/dev/null)
    [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null
}

# Waits until nobody holds a lock; ends the job as one that may be tried again if somebody does for long.
await() {
    local end=$((SECONDS + lock_seconds))
    lock=$run/$1
    while in_use "$lock"; do
        if [ $SECONDS -ge $end ]; then
            say "$lock is held by another process"
            exit 4
        fi
        sleep 2
    done
}

# Ends a job for which nothing is left to do.
stop_if_over() {
    if [ -e "$run/run.json" ] && [ -e "$run/report.html" ]; then
        say "the run is complete"
        exit 0
    fi
    if [ -e "$notes/refused" ]; then
        say "not tried again: $(tail -1 "$notes/refused")"
        exit 1
    fi
}

# The scheduler and the workers on all nodes of the allocation, with certificates of this job alone.
start_workers() {
    local place=$notes/dask-$job kind
    "$python" -m matloop.workflows.clusters.certificates "$place" || return
    export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True DASK_DISTRIBUTED__COMM__TLS__CA_FILE=$place/ca.pem
    for kind in SCHEDULER WORKER CLIENT; do
        export "DASK_DISTRIBUTED__COMM__TLS__${kind}__CERT=$place/certificate.pem"
        export "DASK_DISTRIBUTED__COMM__TLS__${kind}__KEY=$place/key.pem"
    done
    # Dask imports modules from its folder for temporary files, so nobody else may write to that either.
    export DASK_TEMPORARY_DIRECTORY=$place
    local listen=(--protocol tls --interface "$interface" --no-dashboard --dashboard-address 127.0.0.1:0)
    local file=(--scheduler-file "$place/scheduler.json")
    srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=1 \
        "$python" -m distributed.cli.dask_scheduler "${listen[@]}" --port 0 "${file[@]}" &
    for _ in $(seq 120); do
        [ ! -s "$place/scheduler.json" ] || break
        sleep 0.5
    done
    srun --overlap --ntasks="$workers" --cpus-per-task=1 \
        "$python" -m distributed.cli.dask_worker "${listen[@]}" --nthreads 1 --death-timeout 60 \
        "${file[@]}" &
    with_workers=(--workers "$workers" --cluster "$place/scheduler.json")
}

end_workers() {
    [ "$nodes" -gt 1 ] || return 0
    kill $(jobs -p) 2>/dev/null
    wait
    rm -rf "$notes/dask-$job"
}

# A network file system may be away for a moment.
for _ in $(seq 12); do
    cd "$folder" && break
    sleep 5
done
[ "$PWD" -ef "$folder" ] || exit 1
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
with_workers=(--workers "$workers" --cluster local)
"""

SUBMIT = """\
rm -f "$notes/started.txt" "$notes/refused"
submit_round
"""

PREPARE = """\
stop_if_over
await lock.json
if [ -e "$run/identity.json" ]; then
    work "${matloop[@]}" resume "$run" --prepare-only "${with_workers[@]}" "${store[@]}" "${allowed[@]}"
else
    work "${matloop[@]}" screen "$campaign" --output "$run" --prepare-only "${with_workers[@]}" "${store[@]}" \\
        "${allowed[@]}"
fi
mark prepare
exit "$status"
"""

SHARE = """\
stop_if_over
[ ! -e "$notes/share-$task.done" ] || exit 0
if [ ! -e "$notes/prepare.done" ]; then
    say "the run is not prepared"
    exit 1
fi
await "lock-$(printf %03d "$task").json"
work "${matloop[@]}" resume "$run" --share "$task/$shares" --workers 1 --cluster local "${allowed[@]}"
mark "share-$task"
exit "$status"
"""

RUN = """\
stop_if_over
echo "$job $(uname -n) $(date '+%F %T')" >>"$notes/started.txt"
started=$(wc -l <"$notes/started.txt")
done_shares=$(find "$notes" -name 'share-*.done' | wc -l)
if [ -n "$shares" ] && [ "$done_shares" -lt "$shares" ] && [ "$started" -lt "$most" ]; then
    say "$done_shares of $shares shares are done; submitting the rest again"
    submit_round || exit 4
    exit 0
fi
next=
if [ "$started" -lt "$most" ]; then
    next=$(submit run afternotok "$job") || say "the next job cannot be submitted from here"
fi
await lock.json
status=1
if [ "$nodes" = 1 ] || start_workers; then
    if [ -e "$run/identity.json" ]; then
        work "${matloop[@]}" resume "$run" "${with_workers[@]}" "${store[@]}" "${allowed[@]}"
    else
        work "${matloop[@]}" screen "$campaign" --output "$run" "${with_workers[@]}" "${store[@]}" "${allowed[@]}"
    fi
fi
end_workers
[ "$status" != 0 ] || [ -e "$run/run.json" ] || status=4
mark run
if [ "$status" = 0 ] || [ -e "$notes/refused" ]; then
    [ -z "$next" ] || cancel "$next"
elif [ -z "$next" ]; then
    say "not finished after $started jobs; to go on: bash $notes/submit.sh"
fi
exit "$status"
"""
