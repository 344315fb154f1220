#!/usr/bin/env bash
# Gets a page from the room's web server: http_get.sh [PATH [HOST [PORT]]]
# curl is all that it takes to speak HTTP. Each line below is a step that one would else program.
set -euo pipefail

path=${1:-/} host=${2:-localhost} port=${3:-8080} # arguments, and what holds where there are none
request=(
	--connect-timeout 5                  # connects: looks the name up, tries each address
	--request GET --header 'Accept: */*' # builds the request; curl adds the host
	--url "http://$host:$port$path"      # sends it
	--include --fail-with-body           # shows status, headers and body; an error fails
)
exec curl --silent --show-error "${request[@]}"
