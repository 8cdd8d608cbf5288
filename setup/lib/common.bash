# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Steps, progress, jobs that end with set-up, and failure: what all parts of set-up share.
#
# A long command runs as a job in a process group of its own, and only `stop` ends it. So it makes no
# difference whether a signal comes from the keyboard (to the whole group) or to this process alone.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
owner=$(stat -c %u:%g -- "$root")
work=          # folder for logs and downloads of this call
log=
step=0
steps=0
title=
began=0
clock=0
drawn=0        # whether an unfinished line stands on the terminal
summary=()
deferred=      # signal that came while nothing may be interrupted
undo=()        # functions that remove what a step has half made

fail() { # STATUS LINE…: ends set-up
    local status=$1
    shift
    clear_line
    printf 'set-up: %s\n' "$@" >&2
    exit "$status"
}

fail_with_log() { # LINE: ends set-up, with the end of what the failed command said
    clear_line
    tail -n 30 -- "$log" | sed 's/^/  | /' >&2
    fail 1 "$1"
}

clear_line() {
    ((!drawn)) || printf '\r\033[K' >&2
    drawn=0
}

read_clock() { clock=$((${EPOCHREALTIME/[.,]/} / 1000)); } # milliseconds

begin_step() { # TITLE
    step=$((step + 1))
    title=$1
    read_clock
    began=$clock
}

note() { # TEXT: what the step is doing now
    if [[ -t 2 ]]; then
        printf '\r\033[K%d/%d  %-20s %s' "$step" "$steps" "$title" "$1" >&2
        drawn=1
    else
        printf '%d/%d  %-20s %s …\n' "$step" "$steps" "$title" "$1" >&2
    fi
}

end_step() { # RESULT
    local took
    read_clock
    took=$((clock - began))
    clear_line
    printf '%d/%d  %-20s %s (%d.%d s)\n' "$step" "$steps" "$title" "$1" $((took / 1000)) $((took % 1000 / 100)) >&2
    summary+=("$(printf '%-20s %s' "$title" "$1")")
}

# run WHAT COMMAND…: runs a job to its end, showing WHAT (a function of this name adds how far it is).
# Returns the job's status; what it prints goes to the log. Nearly all time passes in the loop: no command
# substitution there, as a trap that runs while bash 5.2 reads one may fail with a syntax error.
run() {
    local what=$1 job started shown=0 now far= pause=0.02
    shift
    read_clock
    started=$clock
    note "$what"
    set -m
    "$@" >>"$log" 2>&1 </dev/null &
    set +m
    job=$!
    while kill -0 "$job" 2>/dev/null; do
        sleep "$pause"
        read_clock
        now=$(((clock - started) / 1000))
        ((now == 0)) || pause=0.2
        if [[ -t 2 ]]; then
            ((now == shown)) && continue
        else
            ((now < shown + 30)) && continue
        fi
        shown=$now
        ! declare -F progress >/dev/null || far=$(progress)
        note "$what, $far${now} s"
    done
    wait "$job"
}

# run_whole WHAT COMMAND…: like run, but a signal waits for the end of the job.
run_whole() {
    local status=0
    trap 'deferred=INT; note "interrupted: finishing what must not be cut short"' INT TERM HUP
    run "$@" || status=$?
    catch_signals
    [[ -z $deferred ]] || interrupted
    return "$status"
}

stop() { # ends every job, with all it has started
    local group tries
    for group in $(jobs -p); do
        kill -TERM -- "-$group" 2>/dev/null || continue
        for ((tries = 0; tries < 30; tries++)); do
            kill -0 -- "-$group" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$group" 2>/dev/null
    done
    wait
}

# As root in somebody else's checkout: what was made in it belongs to them.
hand_over() {
    ((EUID != 0)) || [[ ${owner%%:*} == 0 ]] ||
        find "$root" -xdev -uid 0 -exec chown -h -- "$owner" {} +
}

# shellcheck disable=SC2317  # called by a trap
clean_up() {
    local status=$? function
    trap '' INT TERM HUP
    set +e
    clear_line
    stop 2>/dev/null
    for function in "${undo[@]}"; do "$function"; done
    hand_over
    [[ -z $work ]] || rm -rf -- "$work"
    exit "$status"
}

interrupted() {
    clear_line
    printf 'set-up: interrupted; call it again to go on\n' >&2
    exit 130
}

catch_signals() { trap interrupted INT TERM HUP; }

begin() { # NUMBER OF STEPS
    steps=$1
    trap clean_up EXIT
    catch_signals
    work=$(mktemp -d)
    export TMPDIR=$work     # a job that is ended has no time to remove its own files
    log=$work/log
    : >"$log"
}

# only_one FOLDER WHAT: waits until no other set-up works in FOLDER (until this process ends).
# The lock is the folder itself, so no file stays; jobs inherit it, as none outlives set-up.
only_one() {
    local descriptor
    exec {descriptor}<"$1"
    flock --nonblock "$descriptor" && return
    run "waiting for another set-up of $2" flock "$descriptor"
}
