#!/bin/sh
# Takes out of the environment $1 what no stage loads: 180 MB of 380. The build imports every stage afterwards.
set -eu
cd "$1"/lib/python3.11/site-packages

# Installers: nothing is installed into a running image.
rm -rf pip pip-*.dist-info setuptools setuptools-*.dist-info pkg_resources _distutils_hack distutils-precedence.pth
rm -f "$1"/bin/pip* "$1"/bin/activate* "$1"/bin/Activate*

# Sources, headers and tests of compiled packages.
rm -rf pyarrow/include pyarrow/src
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.c' -o -name '*.h' -o -name '*.cpp' \
  -o -name '*.hpp' -o -name '*.pyi' \) -delete

# Arrow's network services and stores: files go to S3 by boto3.
rm -f pyarrow/_flight* pyarrow/libarrow_flight* pyarrow/libarrow_python_flight* pyarrow/_s3fs* pyarrow/libarrow_s3*
# Its other formats and stores.
rm -f pyarrow/_orc* pyarrow/_hdfs* pyarrow/_gcsfs* pyarrow/_azurefs* pyarrow/_pyarrow_cpp_tests* pyarrow/_feather*
# The wheel holds the same library under three names.
for library in pyarrow/libarrow_python.so pyarrow/libarrow_python_parquet_encryption.so; do
  version=$(basename "$library".*.*.*)
  for name in "$library" "${library%/*}/${version%.*.*}"; do
    [ -L "$name" ] || [ "$name" = "${library%/*}/$version" ] || ln -sf "$version" "$name"
  done
done

# Highlighting of source code, which no command shows.
rm -rf pygments pygments-*.dist-info

# AWS: the services that are called, and those by which credentials are found.
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin \
  ! -name athena ! -name glue ! -name secretsmanager -exec rm -rf {} +

# Python is compiled at the end of the build, as far as it is used.
find . -type d -name __pycache__ -prune -exec rm -rf {} +

find . -type f -name '*.so*' -exec strip --strip-unneeded {} +
