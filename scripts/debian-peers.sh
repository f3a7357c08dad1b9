#!/bin/sh
# usage: debian-peers.sh [PACKAGE...]
# Installs these Debian packages and those with the real peers that tests run against, if any is missing and we are root.
# Without them, the tests that need them say so and are left out; with CI set, they fail.
set -eu
packages="libmessage-passing-perl libmessage-passing-zeromq-perl liblog-dispatch-message-passing-perl
    libmessage-passing-filter-regexp-perl libcrypt-cbc-perl libcrypt-blowfish-perl libcryptx-perl
    libcompress-bzip2-perl openssl zsh iproute2 nftables systemd gcc libc6-dev curl prometheus chromium redis-server $*"

command -v dpkg-query >/dev/null || { echo "not Debian: tests against the Perl original may be left out"; exit 0; }
missing=
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "left out without root: tests that need these Debian packages:$missing"
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086 - one word a package
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $missing >/dev/null
