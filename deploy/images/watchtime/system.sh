#!/bin/sh
# Lays out a system of few Debian packages in the folder $1: their files, licences and metadata, a user, a /tmp.
# The list is packages.txt beside this file.
set -eu
root=$1
here=$(dirname "$0")

mkdir -p "$root"/usr/bin "$root"/usr/sbin "$root"/usr/lib "$root"/usr/lib64 "$root"/var/lib/dpkg/status.d /tmp/debs
for name in bin sbin lib lib64; do ln -s usr/$name "$root"/$name; done

cd /tmp/debs
# shellcheck disable=SC2046 # one word a package
apt-get download -qq -o APT::Sandbox::User=root $(cat "$here"/packages.txt)
for package in *.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$root"
  # Where scanners of images without a package manager look.
  dpkg-deb --field "$package" > "$root"/var/lib/dpkg/status.d/"$(dpkg-deb --field "$package" Package)"
done
cp /etc/ssl/certs/ca-certificates.crt "$root"/etc/ssl/certs/

# Licences stay; manuals, translations and character sets of other systems go.
cd "$root"/usr
rm -rf share/man share/info share/locale share/lintian share/bug lib/x86_64-linux-gnu/gconv lib/aarch64-linux-gnu/gconv \
  share/ca-certificates sbin/* share/zoneinfo/right share/zoneinfo/posix lib/python3.11/ensurepip \
  lib/python3.11/lib2to3 lib/python3.11/pydoc_data lib/python3.11/idlelib lib/python3.11/unittest
find share/doc -type f ! -name copyright -delete
find . -type d -name __pycache__ -prune -exec rm -rf {} +
find "$root" -xtype l -path '*/share/doc/*' -delete
rm -rf "$root"/boot "$root"/home "$root"/media "$root"/mnt "$root"/srv "$root"/opt

printf 'root:x:0:0:root:/root:/usr/sbin/nologin\nwatchtime:x:10001:10001:watchtime:/tmp:/usr/sbin/nologin\n' > "$root"/etc/passwd
printf 'root:x:0:\nwatchtime:x:10001:\n' > "$root"/etc/group
printf 'hosts: files dns\n' > "$root"/etc/nsswitch.conf
mkdir -p "$root"/tmp "$root"/proc "$root"/sys "$root"/dev
chmod 1777 "$root"/tmp
ln -sf python3.11 "$root"/usr/bin/python3
