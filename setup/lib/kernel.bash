# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest kernel: User-Mode Linux from a Debian kernel source package, guest.patch and guest.config, in a
# cache outside the checkout:
#
#   guest-<key>/linux, libseeded-random.so, manifest.json    appears whole, by one rename
#   sources/    source packages, verified by apt
#   build-<key>/    build tree of an interrupted build, which goes on from there

cache_name=mip4-multiple-tunnels
shared_cache=/var/cache/$cache_name
user_cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/$cache_name
own_cache=$user_cache
((EUID != 0)) || own_cache=$shared_cache
fragment=$root/setup/guest.config
kernel_patch=$root/setup/guest.patch
random_source=$root/setup/seeded_random.c
build_space=2500        # MiB for the unpacked source and its object files
compiled_files=1150     # about so many are compiled; only for the display

sha256_of() { sha256sum <"$1" | cut -c1-64; }

manifest_field() { sed -n "s/^ *\"$2\": \"\(.*\)\",\{0,1\}$/\1/p" "$1/manifest.json"; }

# find_kernel: sets kernel to the newest usable one in both caches, kernel_version to its source version.
# The compiler is part of the key but not of this choice: a new gcc gives no reason to build again.
find_kernel() {
    local folder version
    kernel=
    kernel_version=
    for folder in "$shared_cache"/guest-* "$user_cache"/guest-*; do
        [[ -x $folder/linux && -r $folder/libseeded-random.so && -r $folder/manifest.json ]] || continue
        [[ $(manifest_field "$folder" fragment_sha256) == "$(sha256_of "$fragment")" ]] || continue
        [[ $(manifest_field "$folder" patch_sha256) == "$(sha256_of "$kernel_patch")" ]] || continue
        [[ $(manifest_field "$folder" seeded_random_sha256) == "$(sha256_of "$random_source")" ]] || continue
        version=$(manifest_field "$folder" source_version)
        if [[ -z $kernel ]] || dpkg --compare-versions "$version" gt "$kernel_version"; then
            kernel=$folder
            kernel_version=$version
        fi
    done
    [[ -n $kernel ]]
}

# --- the source

candidate() { # PACKAGE: the version this machine's apt would take, or nothing
    LC_ALL=C apt-cache "${apt_options[@]}" policy "$1" | sed -n '/(none)/!s/^  Candidate: //p'
}

# This machine's own Debian mirrors (not those of updates, security or third parties).
mirrors() {
    # shellcheck source=/dev/null
    . /etc/os-release
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^${VERSION_CODENAME:-none} main //p" | sort -u
}

# Lists and downloads of Debian 13 in a folder of our own: nothing on the system changes.
private_apt() { # MIRROR: sets apt_options
    local folder=$work/apt
    rm -rf -- "$folder"
    mkdir -p -- "$folder/state/lists/partial" "$folder/cache/archives/partial"
    printf 'deb [arch=amd64 target=Packages signed-by=%s] %s trixie main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$1" >"$folder/sources.list"
    apt_options=(-o "Dir::State=$folder/state" -o "Dir::State::status=/var/lib/dpkg/status"
        -o "Dir::Cache=$folder/cache" -o "Dir::Etc::SourceList=$folder/sources.list"
        -o "Dir::Etc::SourceParts=-" -o "APT::Sandbox::User=" -o "Acquire::Languages=none")
}

# Sets source_package, source_version and apt_options.
choose_source() {
    local mirror
    apt_options=()
    source_package=linux-source-6.12
    source_version=$(candidate "$source_package")
    [[ -z $source_version ]] || return 0
    for mirror in $(mirrors); do
        private_apt "$mirror"
        run 'asking for the kernel source of Debian 13' apt-get "${apt_options[@]}" update || continue
        source_version=$(candidate "$source_package")
        [[ -z $source_version ]] || return 0
    done
    apt_options=()
    source_package=linux-source-6.1
    source_version=$(candidate "$source_package")
    [[ -n $source_version ]] || fail 1 'apt knows neither linux-source-6.12 nor linux-source-6.1' \
        'check the package sources of this machine (apt-get update)'
    clear_line
    printf 'set-up: linux-source-6.12 cannot be had here: falling back to linux-source-6.1 (slower)\n' >&2
}

# Sets archive to the source package, verified by apt against the signed lists.
fetch_source() {
    local folder=$own_cache/sources
    # apt writes an epoch's colon as %3a.
    archive=$folder/${source_package}_${source_version//:/%3a}_all.deb
    [[ ! -f $archive ]] || return 0
    mkdir -p -- "$folder/partial"
    run "downloading $source_package" env -C "$folder/partial" \
        apt-get "${apt_options[@]}" -o APT::Sandbox::User= download "$source_package=$source_version" &&
        mv -- "$folder/partial/${archive##*/}" "$archive"
}

unpack_source() {
    rm -rf -- "$tree.unpacking" && mkdir -m 700 -- "$tree.unpacking" &&
        (set -o pipefail && dpkg-deb --fsys-tarfile "$archive" |
            tar -xO "./usr/src/$source_package.tar.xz" |
            tar -xJ --strip-components=1 -C "$tree.unpacking") &&
        patch --batch --no-backup-if-mismatch -p1 -d "$tree.unpacking" <"$kernel_patch" &&
        mv -- "$tree.unpacking" "$tree"
}

# --- the build

# Without the caller's variables (a make that started us passes MAKEFLAGS), and with a fixed date and name:
# the kernel shows both.
kernel_make() {
    env -i PATH="$PATH" TMPDIR="$TMPDIR" LC_ALL=C KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_USER=lab \
        KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1 make -C "$tree" ARCH=um "$@"
}

# unmet_lines FRAGMENT CONFIG: the lines of the fragment that the configuration does not have. An option
# that is off may also be absent, when what it depends on is off.
unmet_lines() {
    local line option
    while IFS= read -r line; do
        case $line in
        CONFIG_*=*) grep -qxF -- "$line" "$2" || echo "$line" ;;
        '# CONFIG_'*' is not set')
            option=${line#\# }
            ! grep -q "^${option%% *}=" "$2" || echo "$line"
            ;;
        esac
    done <"$1"
}

# shellcheck disable=SC2317  # called by run
configure_kernel() {
    kernel_make defconfig && cat -- "$fragment" >>"$tree/.config" && kernel_make olddefconfig
}

# shellcheck disable=SC2317  # called by run
compile_kernel() { kernel_make "-j$(nproc)" linux >>"$tree/build.log" 2>&1; }

# shellcheck disable=SC2317  # called by run
compile_seeded_random() {
    gcc -O2 -fPIC -shared -Wall -Wextra -Werror -o "$1/libseeded-random.so" "$random_source"
}

# To its end: grep -q stops reading at the first match, and with pipefail the writer that is cut short has failed.
says() { # PATTERN COMMAND…
    LC_ALL=C "${@:2}" | grep -w -- "$1" >/dev/null
}

# The random source can only be put in front of the C library's if the guest is linked with that at run time.
check_kernel() { # FOLDER
    local version=${source_package#linux-source-}
    [[ $("$1/linux" --version) == "$version"* ]] && says 'libc\.so' ldd "$1/linux" &&
        says 'U getrandom' nm -D "$1/linux" && says 'T getrandom' nm -D "$1/libseeded-random.so"
}

write_manifest() { # FOLDER
    printf '{\n' && printf '  "schema": 1,\n' && printf '  "%s": "%s",\n' key "$key" \
        source_package "$source_package" source_version "$source_version" \
        fragment_sha256 "$(sha256_of "$fragment")" patch_sha256 "$(sha256_of "$kernel_patch")" \
        seeded_random_sha256 "$(sha256_of "$random_source")" &&
        printf '  "compiler": "%s"\n}\n' "$compiler"
}

# The kernel's makefiles refuse a path with a blank or a colon. Such a cache gets its build tree elsewhere, in
# a folder that nobody else can have put there.
choose_tree() {
    local folder=$own_cache other
    if [[ $folder == *[[:space:]:]* ]]; then
        folder=/var/tmp/$cache_name-$EUID
        mkdir -m 700 -- "$folder" 2>/dev/null || true
        [[ -d $folder && -O $folder && ! -L $folder ]] || fail 1 "$folder belongs to somebody else"
    fi
    tree=$folder/build-$key
    # Trees of another source, fragment, patch or compiler will not be gone on with.
    for other in "$folder"/build-*; do
        [[ $other == "$tree" || ! -d $other ]] || rm -rf -- "$other"
    done
}

# shellcheck disable=SC2317  # called by clean_up
remove_half_built_kernel() {
    rm -rf -- "$own_cache/staging" "$tree.unpacking"
    [[ -z $published ]] || rm -rf -- "$tree"
    [[ $tree == "$own_cache"/* ]] || rmdir -- "${tree%/*}" 2>/dev/null
}

publish() { # FOLDER: makes it guest-<key>, in place of one with another random source
    local target=$own_cache/guest-$key
    chmod 755 -- "$1" "$1/linux"
    chmod 644 -- "$1/manifest.json"
    sync -f "$1"
    [[ ! -e $target ]] || mv -- "$target" "$1.old"
    mv -- "$1" "$target"
    rm -rf -- "$1.old"
}

build_kernel() {
    local unmet free staging=$own_cache/staging
    choose_source
    # shellcheck disable=SC1003  # a quotation mark or a backslash would break the manifest
    compiler=$(LC_ALL=C gcc --version | head -n 1 | tr -d '"\\')
    key=$({ printf '%s\n' "$source_version" "$compiler" && cat -- "$fragment" "$kernel_patch"; } |
        sha256sum | cut -c1-16)
    choose_tree
    published=
    undo+=(remove_half_built_kernel)
    if [[ ! -d $tree ]]; then
        free=$(df --output=avail -BM -- "${tree%/*}" | tail -n 1 | tr -dc 0-9)
        ((free >= build_space)) || fail 1 "${tree%/*} has $free MiB free, the kernel build takes $build_space"
        fetch_source || fail_with_log "the download of $source_package failed"
        run 'unpacking the source' unpack_source || fail_with_log "unpacking $archive failed"
    fi
    run 'configuring' configure_kernel || fail_with_log 'the kernel configuration failed'
    unmet=$(unmet_lines "$fragment" "$tree/.config")
    [[ -z $unmet ]] || fail 1 'these lines of setup/guest.config did not take effect:' "$unmet"
    # shellcheck disable=SC2317  # called by run
    progress() { printf '%d of about %d files, ' "$(grep -c '^  CC ' "$tree/build.log")" "$compiled_files"; }
    if ! run 'compiling' compile_kernel; then
        cp -- "$tree/build.log" "$log"
        fail_with_log "the kernel build failed; all it said: $tree/build.log"
    fi
    unset -f progress
    rm -rf -- "$staging"
    mkdir -- "$staging"
    cp -- "$tree/linux" "$staging/linux"
    run 'the seeded random source' compile_seeded_random "$staging" || fail_with_log 'seeded_random.c does not compile'
    check_kernel "$staging" || fail 1 'the kernel built is not usable: it does not start, or is linked statically'
    write_manifest >"$staging/manifest.json"
    publish "$staging"
    published=1
    run 'removing the build tree' rm -rf -- "$tree"
}

kernel_step() {
    begin_step 'guest kernel'
    if ! find_kernel; then
        [[ $(uname -m) == x86_64 ]] || fail 2 "the guest kernel needs an x86-64 machine, this is $(uname -m)" \
            'call setup/setup --without-kernel, and use --kernel host'
        mkdir -p -- "$own_cache"
        only_one "$own_cache" 'the guest kernel'
        if ! find_kernel; then
            build_kernel
            find_kernel || fail 1 "the guest kernel is not where it belongs, in $own_cache"
        fi
    fi
    end_step "$kernel_version, $kernel"
}
