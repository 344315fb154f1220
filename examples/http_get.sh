#!/usr/bin/env bash
# Gets a page from the room's web server: http_get.sh [PATH [HOST [PORT]]]
# No more than curl is needed to speak HTTP; each line below is a step that one would otherwise program.
set -euo pipefail

path=${1:-/} host=${2:-localhost} port=${3:-8080} # arguments, and what holds where there are none
request=(
	--connect-timeout 5                       # connects: looks the name up, tries each address
	--request GET --header 'Accept: */*'      # builds the request: its method and a header; curl adds Host
	--path-as-is --url "http://$host:$port$path" # sends it, with the path as it was given
	--include --fail-with-body                # shows status, headers and body; an error fails
)
exec curl --silent --show-error "${request[@]}"
