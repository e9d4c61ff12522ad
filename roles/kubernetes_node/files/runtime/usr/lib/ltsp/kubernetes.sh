# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The join of a node to its Kubernetes cluster at each boot, and the end of its kubelet at shutdown.
# Standard output goes to journal and console, standard error to the journal only.

ltsp_join_run=${LTSP_PREFIX-}/run/kubernetes
ltsp_kubernetes=${LTSP_PREFIX-}/etc/kubernetes
ltsp_kubelet=${LTSP_PREFIX-}/var/lib/kubelet

ltsp_uptime() {
	cut -d. -f1 "${LTSP_PREFIX-}/proc/uptime"
}

# ltsp_say_failure TEXT: logs a failure. The console shows it every five minutes, and when more than its numbers changed.
ltsp_say_failure() {
	local kind now
	kind=$(printf '%s' "$1" | tr -d '0-9')
	now=$(ltsp_uptime)
	if [ "$kind" != "$ltsp_console_kind" ] || [ $((now - ltsp_console_time)) -ge 300 ]; then
		ltsp_console_kind=$kind ltsp_console_time=$now
		printf '<3>%.900s\n' "$1"
	else
		printf '<3>%.900s\n' "$1" >&2
	fi
}

# The files for the join are beside this node's lts.conf.
ltsp_find_server() {
	LTSP_CONF=''
	# shellcheck source=/dev/null
	. "${LTSP_PREFIX-}/run/ltsp/env"
	case $LTSP_CONF in
	http://*/config/*) ltsp_base=${LTSP_CONF%%/config/*}/config ;;
	*)
		ltsp_why="no boot server to ask: ltsp.conf on the kernel command line is '$LTSP_CONF' and not http://SERVER/config/..."
		return 1
		;;
	esac
}

ltsp_curl() {
	curl --silent --show-error --noproxy '*' --connect-timeout 10 --max-filesize 65536 "$@" 2>"$ltsp_join_run/error"
}

ltsp_curl_error() {
	sed -n 's/^curl: ([0-9]*) //p' "$ltsp_join_run/error" | tail -n 1
}

# ltsp_fetch NAME: a file of the boot server.
ltsp_fetch() {
	ltsp_curl --fail --max-time 15 --output "$ltsp_join_run/$1" "$ltsp_base/$1" && return
	ltsp_why="$ltsp_base/$1: $(ltsp_curl_error) (is the boot server up, and has playbooks/join.yml run for it?)"
	return 1
}

# ltsp_shield PORT: keeps pods from the service. Their packets have the node's address, and would ask in its name.
ltsp_shield() {
	local output
	output=$(printf '%s\n' 'table inet ltsp_join' 'delete table inet ltsp_join' 'table inet ltsp_join {' 'chain forward {' \
		'type filter hook forward priority filter' "tcp dport $1 drop" '}' '}' | nft -f - 2>&1) && return
	ltsp_why="nft cannot keep pods from TCP port $1: $(echo "$output" | head -n 1) (has the image nftables, and its kernel nf_tables?)"
	return 1
}

# ltsp_ask: the answer, join.yaml, holds this node's credential.
ltsp_ask() {
	local port='' version code
	ltsp_fetch join.url && ltsp_fetch join.crt || return 1
	ltsp_url=''
	read -r ltsp_url <"$ltsp_join_run/join.url" || :
	case $ltsp_url in
	https://*:*/*) port=${ltsp_url#https://} port=${port%%/*} port=${port##*:} ;;
	esac
	case $port in
	'' | *[!0-9]*)
		ltsp_why="$ltsp_base/join.url has '$ltsp_url' and not https://SERVER:PORT/v1/join (does playbooks/join.yml have to run again?)"
		return 1
		;;
	esac
	ltsp_shield "$port" || return 1
	if ! version=$(kubeadm version -o short 2>&1); then
		ltsp_why="kubeadm version: $version"
		return 1
	fi
	# A privileged port proves that root of this node asks, and not a user who is logged in.
	code=$(
		umask 077
		ltsp_curl --max-time 60 --cacert "$ltsp_join_run/join.crt" --local-port 512-1023 --request POST --get \
			--data-urlencode "kubeadm=$version" --data-urlencode "cri_socket=$KUBERNETES_CRI_SOCKET" \
			--dump-header "$ltsp_join_run/header" --output "$ltsp_join_run/join.yaml" --write-out '%{http_code}' "$ltsp_url"
	)
	case $?:$code in
	0:200) return ;;
	0:*)
		ltsp_retry_after=$(sed -n 's/^[Rr]etry-[Aa]fter: *0*\([1-9][0-9]\{0,3\}\)[[:space:]]*$/\1/p' "$ltsp_join_run/header" | tail -n 1)
		ltsp_why="$ltsp_url answers $code: $(head -n 1 "$ltsp_join_run/join.yaml" | LC_ALL=C tr -cd '[:print:]')"
		;;
	60:*) ltsp_why="$ltsp_url: $(ltsp_curl_error) (the clock of this node says $(date -u '+%F %R') UTC)" ;;
	*) ltsp_why="$ltsp_url: $(ltsp_curl_error)" ;;
	esac
	return 1
}

# ltsp_kubeadm_error FILE: the error of kubeadm in one line.
ltsp_kubeadm_error() {
	awk '
		sub(/^[ \t]*\[ERROR /, "") { sub(/\]:/, ":"); if (!errors++) first = $0; next }
		sub(/^error: /, "") || /^error execution/ { sub(/^error execution phase /, ""); error = $0; next }
		NF { last = $0 }
		END { print errors ? first (errors > 1 ? " (and " errors - 1 " more: journalctl -u kubernetes-join)" : "") : error ? error : last }
	' "$1"
}

# The credential ends after ten minutes. Static pods belong to the operator, also where an old kubeadm refuses them.
ltsp_kubeadm_join() {
	local status
	{
		timeout -k 10 600 kubeadm join --config "$ltsp_join_run/join.yaml" \
			--ignore-preflight-errors=DirAvailable--etc-kubernetes-manifests </dev/null 2>&1
		echo $? >"$ltsp_join_run/status"
	} | sed -u 's/\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}/\1.***/g' | tee "$ltsp_join_run/output" >&2
	rm -f "$ltsp_join_run/join.yaml"
	read -r status <"$ltsp_join_run/status"
	case $status in
	0) return ;;
	124) ltsp_why="kubeadm join did not end within 600 s: $(ltsp_kubeadm_error "$ltsp_join_run/output")" ;;
	137) ltsp_why="kubeadm join was killed: $(ltsp_kubeadm_error "$ltsp_join_run/output") (has this node enough memory?)" ;;
	*) ltsp_why="kubeadm join: $(ltsp_kubeadm_error "$ltsp_join_run/output")" ;;
	esac
	return 1
}

# ltsp_api OPTION... PATH: a request with the kubelet's credential.
ltsp_api() {
	curl --silent --show-error --fail --noproxy '*' --max-time 2 --output /dev/null --cacert "$ltsp_kubernetes/pki/ca.crt" \
		--cert "$ltsp_kubelet/pki/kubelet-client-current.pem" "$@"
}

# ltsp_leave: marks the Node as not ready. Otherwise it counts as alive until its Lease ends, and kubeadm refuses the name of a Ready Node.
ltsp_leave() {
	local name server condition
	[ -e "$ltsp_kubernetes/kubelet.conf" ] || return 0
	# The kubelet's name for itself.
	name=$(sed -n 's/.*--hostname-override=\([^ "]*\).*/\1/p' "$ltsp_kubelet/kubeadm-flags.env" 2>/dev/null)
	name=${name:-$(uname -n | tr '[:upper:]' '[:lower:]')}
	server=$(sed -n 's/^ *server: //p' "$ltsp_kubernetes/kubelet.conf")
	condition='"type": "Ready", "status": "Unknown", "reason": "NodeShutdown", "message": "The node has said that it shuts down."'
	ltsp_api --request DELETE "$server/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/$name" &&
		ltsp_api --request PATCH --header 'Content-Type: application/strategic-merge-patch+json' \
			--data "{\"status\": {\"conditions\": [{$condition}]}}" "$server/api/v1/nodes/$name/status" ||
		echo "<4>the cluster takes $name for alive until its Lease has run out" >&2
}

# ltsp_clean: removes files of a former try or, on a disk, of a former boot. kubeadm refuses to run with some of them, and others hold the
# identity of another node.
# Pods and static pods stay: they may hold data.
ltsp_clean() {
	systemctl stop kubelet.service
	ltsp_leave
	rm -rf "$ltsp_kubernetes/kubelet.conf" "$ltsp_kubernetes/bootstrap-kubelet.conf" "$ltsp_kubernetes/pki/ca.crt" "$ltsp_kubelet/pki" \
		"$ltsp_kubelet/config.yaml" "$ltsp_kubelet/instance-config.yaml" "$ltsp_kubelet/kubeadm-flags.env" \
		"$ltsp_kubelet/cpu_manager_state" "$ltsp_kubelet/memory_manager_state"
	rm -f "$ltsp_join_run"/*
}

ltsp_has_joined() {
	[ -e "$ltsp_kubernetes/kubelet.conf" ] && [ ! -e "$ltsp_kubernetes/bootstrap-kubelet.conf" ] && systemctl --quiet is-active kubelet.service
}

# ltsp_wait: 50 to 100 % of a time that doubles, so that nodes which lost the same server do not come back at once.
ltsp_wait() {
	local random seconds
	random=$(od -A n -t u2 -N 2 /dev/urandom | tr -d ' ')
	seconds=$((ltsp_backoff * (50 + random % 51) / 100))
	[ "$seconds" -ge "${ltsp_retry_after:-0}" ] || seconds=$ltsp_retry_after
	ltsp_backoff=$((ltsp_backoff < 150 ? ltsp_backoff * 2 : 300))
	ltsp_say_failure "this node has not joined its cluster: $ltsp_why; attempt $ltsp_attempt, the next in $seconds s"
	sleep "$seconds"
}

# ltsp_join: returns when the node has joined, however long that takes.
ltsp_join() {
	local begin now
	if ltsp_has_joined; then
		echo "<5>this node has joined its cluster already" >&2
		return
	fi
	begin=$(ltsp_uptime) ltsp_attempt=1 ltsp_backoff=5 ltsp_console_kind='' ltsp_console_time=0
	# A try that is stopped leaves no file with the credential.
	trap ltsp_clean EXIT
	trap 'exit 0' HUP INT TERM
	ltsp_clean
	until ltsp_retry_after='' && ltsp_find_server && ltsp_ask && ltsp_kubeadm_join; do
		# The node was joined by hand in the meantime. There is nothing to clean up.
		! ltsp_has_joined || break
		ltsp_clean
		ltsp_wait
		ltsp_attempt=$((ltsp_attempt + 1))
	done
	trap - EXIT HUP INT TERM
	rm -f "$ltsp_join_run"/*
	now=$(ltsp_uptime)
	echo "<5>this node has joined its cluster in $((now - begin)) s, at attempt $ltsp_attempt, $now s after its kernel started"
}

# ltsp_import_images: archives of the image become images of the engine, so that no registry is needed for them.
ltsp_import_images() {
	local status=0 file output
	for file in "${LTSP_PREFIX-}"/usr/share/ltsp/container-images/*.tar; do
		case $KUBERNETES_ENGINE in
		docker) set -- docker load --quiet --input ;;
		*) set -- ctr --address "${KUBERNETES_CRI_SOCKET#unix://}" --namespace k8s.io images import ;;
		esac
		if ! output=$(timeout -k 10 300 "$@" "$file" 2>&1); then
			echo "<3>$file was not imported: $(echo "$output" | tail -n 1)"
			status=1
		fi
	done
	return "$status"
}
