#!/bin/sh
# A development PKI in a folder (certs/ unless another is named): a CA, a certificate for the relay and one for
# each of two clients. What is there already stays as it is.
set -eu
zgate=$(dirname "$0")/../cli/zgate
folder=${1:-$(dirname "$0")/../certs}

# As long as a developer's machine should go without doing this again.
days=365

if [ ! -e "$folder/ca.pem" ]; then
  "$zgate" pki init --dir "$folder"
fi
if [ ! -e "$folder/relay.pem" ]; then
  "$zgate" pki issue relay relay --dir "$folder" --days "$days" --san relay localhost 127.0.0.1 ::1
fi
for client in client-1 client-2; do
  if [ ! -e "$folder/$client.pem" ]; then
    "$zgate" pki issue client "$client" --dir "$folder" --days "$days"
  fi
done
