# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Debian packages of debian-packages.txt. The only step that needs root, if one is missing.

wanted=()
missing=()

find_missing_packages() {
    local package installed
    command -v dpkg-query >/dev/null || fail 2 'this is not Debian: set-up needs Debian 12 or 13'
    read -ra wanted <<<"$(sed 's/#.*//' "$root/setup/debian-packages.txt" | tr '\n' ' ')"
    # dpkg-query's status says that some are unknown; which ones is read from its answer.
    installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' -- "${wanted[@]}" 2>/dev/null || true)"
    missing=()
    for package in "${wanted[@]}"; do
        [[ $installed == *" installed=$package "* ]] || missing+=("$package")
    done
}

package_command() {
    local command="apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
    if command -v sudo >/dev/null; then
        echo "sudo sh -c '$command'"
    else
        echo "su -c '$command'"
    fi
}

apt() { DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get --quiet --yes -o DPkg::Lock::Timeout=120 "$@"; }

# shellcheck disable=SC2317  # called by run
install_packages() { apt install --no-install-recommends "$@" "${missing[@]}"; }

packages_step() {
    begin_step 'Debian packages'
    find_missing_packages
    if ((${#missing[@]})); then
        ((EUID == 0)) || fail 2 "missing Debian packages: ${missing[*]}" 'as root, run:' "  $(package_command)"
        # An earlier installation that was killed is completed first, or apt refuses to work.
        [[ -z $(dpkg --audit) ]] || run_whole 'completing an interrupted installation' \
            env DEBIAN_FRONTEND=noninteractive dpkg --configure -a || fail_with_log 'dpkg --configure -a failed'
        run 'reading package lists' apt update || fail_with_log 'apt-get update failed'
        run "downloading ${#missing[@]} packages" install_packages --download-only ||
            fail_with_log 'the download of Debian packages failed'
        run_whole "installing ${#missing[@]} packages" install_packages ||
            fail_with_log 'the installation of Debian packages failed'
    fi
    end_step "all ${#wanted[@]} installed"
}
