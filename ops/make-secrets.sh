#!/bin/sh
# Make the secrets that docker-compose.yml mounts, once; those that are there stay as they are.
# The folder is closed to others; the files are readable so that the services' own user can read the mounted ones.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
for name in token qdrant_api_key; do
  if [ ! -s "secrets/$name" ]; then
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "secrets/$name"
    chmod 444 "secrets/$name"
    echo "made secrets/$name"
  fi
done
