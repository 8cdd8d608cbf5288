# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whether this machine can have the testbed at all. Looked at before anything is changed; every problem is said at once.

least_memory=1800           # MiB: one guest has 1024
environment_space=1200      # MiB for .venv
package_space=1500          # MiB for Debian packages, downloads included

free_space() { df --output=avail -BM -- "$1" | tail -n 1 | tr -dc 0-9; }
memory() { sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo; }

# check_host WITH_KERNEL: needs missing, which find_missing_packages sets.
check_host() {
    local problems=() have
    if (($1)) && [[ $(uname -m) != x86_64 ]]; then
        problems+=("the guest kernel needs an x86-64 machine, this is $(uname -m): setup/setup --without-kernel, and use --kernel host")
    fi
    if [[ -x $python ]] && ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        problems+=("$("$python" -V) is too old: 3.11 is the least, as in Debian 12")
    fi
    have=$(($(memory) / 1024))
    ((have >= least_memory)) || problems+=("this machine has $have MiB of memory, $least_memory is the least")
    if ! project_valid; then
        have=$(free_space "$root")
        ((have >= environment_space)) || problems+=("$root has $have MiB free, the environment takes $environment_space")
    fi
    if ((${#missing[@]})); then
        have=$(free_space /var)
        ((have >= package_space)) || problems+=("/var has $have MiB free, Debian packages take $package_space")
    fi
    ((!${#problems[@]})) || fail 2 'this machine will not do; nothing was changed:' "${problems[@]/#/  }"
}
