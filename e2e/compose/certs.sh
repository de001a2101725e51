#!/bin/sh
# The one-shot service of compose.yaml: a development PKI in /pki, and to each holder's folder what it may have.
set -eu
/opt/zgate/tools/make-certs.sh /pki
for holder in relay client-1 client-2; do
  install -m 0644 /pki/ca.pem "/pki/$holder.pem" "/holders/$holder/"
  install -m 0600 "/pki/$holder-key.pem" "/holders/$holder/"
done
