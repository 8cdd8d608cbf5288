# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The virtual environment .venv of the checkout: hash-locked packages, IPMininet, the project itself.
#
# .venv/set-up, written last, says what all of it was made from, .venv/packages the same without the
# project. Where neither holds (other locks, another Python, another path after a move, a set-up that
# was killed) the environment is made anew; a change of pyproject.toml only installs the project again.

python=/usr/bin/python3
environment=$root/.venv

# Nothing of the caller's Python may show through.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

packages_key() {
    { sha256sum <"$root/setup/requirements.lock" && sha256sum <"$root/setup/ipmininet.lock" &&
        sha256sum <"$root/setup/lib/environment.bash" &&
        "$python" -VV && echo "$environment"; } | sha256sum
}

project_key() { { packages_key && sha256sum <"$root/pyproject.toml"; } | sha256sum; }

stamped() { # NAME KEY
    [[ -x $environment/bin/python && -f $environment/$1 && $(<"$environment/$1") == "$2" ]]
}

write_stamp() { # NAME KEY
    printf '%s\n' "$2" >"$environment/.stamp"
    mv -- "$environment/.stamp" "$environment/$1"
}

packages_valid() { stamped packages "$(packages_key)"; }
project_valid() { packages_valid && stamped set-up "$(project_key)"; }

# shellcheck disable=SC2317  # called by clean_up
remove_half_made_environment() { [[ -f $environment/packages ]] || rm -rf -- "$environment"; }

pip() { "$environment/bin/python" -m pip --quiet "$@"; }

# What Debian's packages bring and no index has. Nothing else of the system's Python shows through: machines have
# others, and what is installed on one must not decide about its results.
debian_modules=(mininet nftables)

make_environment() {
    rm -f -- "$environment/packages" "$environment/set-up" && rm -rf -- "$environment" &&
        "$python" -m venv "$environment" &&
        pip uninstall --yes setuptools &&
        link_debian_modules
}

link_debian_modules() {
    local module found site
    site=$(site_packages) || return
    for module in "${debian_modules[@]}"; do
        found=$("$python" -I -c 'import importlib.util, sys
print(*importlib.util.find_spec(sys.argv[1]).submodule_search_locations)' "$module") &&
            ln -s -- "$found" "$site/$module" || return
    done
}

# (What venv brings is removed before, or two versions would lie over each other.)
# Wheels only: an archive would run its own build code, and would need a compiler.
# --no-deps: the lock names every package there is. Left to look for itself, pip takes an extra (coverage[toml]) at its
# newest version, finds that unpinned, and refuses it as soon as there is a newer one than the lock's.
# Most of pip's time goes into byte code, on one core; compileall takes all of them.
install_python_packages() {
    pip install --no-deps --ignore-installed --only-binary :all: --no-compile --require-hashes \
        -r "$root/setup/requirements.lock" &&
        "$environment/bin/python" -m compileall -q -j 0 "$(site_packages)"
}

site_packages() { "$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

# IPMininet's installer clones Mininet from the net and writes to /opt. Its archive holds all we need:
# the package goes beside the others, with its metadata. --use-pep517 keeps its setup.py from fetching
# build requirements on its own. Importing it makes a key pair in /tmp each time; the trial import must not
# leave one, so its ssh-keygen does nothing.
install_ipmininet() {
    local site archive=$work/ipmininet
    site=$(site_packages) &&
        pip download --no-deps --no-binary :all: --no-build-isolation --use-pep517 --require-hashes \
            -d "$archive" -r "$root/setup/ipmininet.lock" &&
        tar -xzf "$archive"/ipmininet-*.tar.gz -C "$archive" --strip-components=1 &&
        mkdir -p -- "$site/ipmininet-1.0.dist-info" &&
        cp -- "$archive/PKG-INFO" "$site/ipmininet-1.0.dist-info/METADATA" &&
        echo setup/setup >"$site/ipmininet-1.0.dist-info/INSTALLER" &&
        cp -R -- "$archive/ipmininet" "$site/" &&
        "$environment/bin/python" -m compileall -q "$site/ipmininet" &&
        ln -s /bin/true "$archive/ssh-keygen" &&
        (cd / && PATH=$archive:$PATH "$environment/bin/python" -c 'import ipmininet.ipnet, mininet.net')
}

# editable_mode=compat: a plain path entry, which type checkers and coverage follow too.
install_project() {
    (cd -- "$root" && pip install --no-deps --no-build-isolation --config-settings editable_mode=compat -e .)
}

# Programs in the lab kernel write no byte code (their root is read-only), so it is written here: without it each
# agent compiles all its modules at every start. Always, for the code may have changed.
compile_project() {
    (cd -- "$root" && "$environment/bin/python" -m compileall -q agents topologies experiments)
}

environment_steps() {
    local count version valid=1
    begin_step 'Python packages'
    only_one "$root" 'this checkout'
    count=$(grep -c == "$root/setup/requirements.lock")
    version=$("$python" -c 'import platform; print(platform.python_version())')
    if ! packages_valid; then
        valid=
        undo+=(remove_half_made_environment)
        run 'making .venv' make_environment || fail_with_log 'the virtual environment could not be made'
        run "installing $count packages" install_python_packages ||
            fail_with_log 'the installation of Python packages failed'
    fi
    end_step "$count in .venv, Python $version"

    begin_step 'IPMininet'
    if [[ -z $valid ]]; then
        run 'installing' install_ipmininet || fail_with_log 'the installation of IPMininet failed'
        write_stamp packages "$(packages_key)"
    fi
    end_step "$(sed -n 's/^ipmininet==\([^ ]*\).*/\1/p' "$root/setup/ipmininet.lock")"

    begin_step 'this project'
    if ! project_valid; then
        rm -f -- "$environment/set-up"
        run 'installing' install_project || fail_with_log 'the installation of the project failed'
        write_stamp set-up "$(project_key)"
    fi
    compile_project >"$log" 2>&1 || fail_with_log 'the project does not compile'
    end_step 'installed in .venv'
}
