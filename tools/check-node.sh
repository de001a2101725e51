#!/bin/sh
# Node 26 must be in node_modules/.bin: the npm package `node` puts it there with an install script, which npm
# does not run when it is told to ignore scripts. Then it is run here, by itself.
set -eu
cd "$(dirname "$0")/.."

major() { node_modules/.bin/node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

if [ "$(major)" -lt 26 ]; then
  (cd node_modules/node && node installArchSpecificPackage.js)
  ln -sf ../node/bin/node node_modules/.bin/node
fi
if [ "$(major)" -lt 26 ]; then
  echo "setup: node_modules/.bin/node is not Node 26. Is there a build of the npm package \"node\" for $(uname -sm)?" >&2
  echo "       Otherwise put a Node 26 first in PATH and link it there." >&2
  exit 1
fi
