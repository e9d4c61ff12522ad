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

# ltsp_say_failure TEXT: the console has it when it differs from the last in more than its numbers, and every five minutes.
ltsp_say_failure() {
	ltsp_kind=$(printf '%s' "$1" | tr -d '0-9')
	ltsp_now=$(ltsp_uptime)
	if [ "$ltsp_kind" != "$ltsp_said" ] || [ $((ltsp_now - ltsp_said_at)) -ge 300 ]; then
		ltsp_said=$ltsp_kind ltsp_said_at=$ltsp_now
		printf '<3>%.900s\n' "$1"
	else
		printf '<3>%.900s\n' "$1" >&2
	fi
}

# The files for the join are beside this node's lts.conf. The last of equal arguments counts.
ltsp_find_server() {
	ltsp_conf=''
	read -r ltsp_line <"${LTSP_PREFIX-}/proc/cmdline" || :
	set -f
	for ltsp_word in $ltsp_line; do
		case $ltsp_word in
		ltsp.conf=*) ltsp_conf=${ltsp_word#*=} ;;
		esac
	done
	set +f
	case $ltsp_conf in
	http://*/config/*) ltsp_base=${ltsp_conf%%/config/*}/config ;;
	*)
		ltsp_why="no boot server to ask: ltsp.conf on the kernel command line is '$ltsp_conf' and not http://SERVER/config/..."
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
	ltsp_output=$(printf '%s\n' 'table inet ltsp_join' 'delete table inet ltsp_join' 'table inet ltsp_join {' 'chain forward {' \
		'type filter hook forward priority filter' "tcp dport $1 drop" '}' '}' | nft -f - 2>&1) && return
	ltsp_why="nft cannot keep pods from TCP port $1: $(echo "$ltsp_output" | head -n 1) (has the image nftables, and its kernel nf_tables?)"
	return 1
}

# ltsp_ask: the answer, join.yaml, holds this node's credential.
ltsp_ask() {
	ltsp_fetch join.url && ltsp_fetch join.crt || return 1
	ltsp_url='' ltsp_port=''
	read -r ltsp_url <"$ltsp_join_run/join.url" || :
	case $ltsp_url in
	https://*:*/*) ltsp_port=${ltsp_url#https://} ltsp_port=${ltsp_port%%/*} ltsp_port=${ltsp_port##*:} ;;
	esac
	case $ltsp_port in
	'' | *[!0-9]*)
		ltsp_why="$ltsp_base/join.url has '$ltsp_url' and not https://SERVER:PORT/v1/join (does playbooks/join.yml have to run again?)"
		return 1
		;;
	esac
	ltsp_shield "$ltsp_port" || return 1
	if ! ltsp_version=$(kubeadm version -o short 2>&1); then
		ltsp_why="kubeadm version: $ltsp_version"
		return 1
	fi
	# A privileged port proves that root of this node asks, and not a user who is logged in.
	ltsp_code=$(
		umask 077
		ltsp_curl --max-time 60 --cacert "$ltsp_join_run/join.crt" --local-port 512-1023 --request POST --get \
			--data-urlencode "kubeadm=$ltsp_version" --data-urlencode "cri_socket=$KUBERNETES_CRI_SOCKET" \
			--dump-header "$ltsp_join_run/header" --output "$ltsp_join_run/join.yaml" --write-out '%{http_code}' "$ltsp_url"
	)
	case $?:$ltsp_code in
	0:200) return ;;
	0:*)
		ltsp_retry_after=$(sed -n 's/^[Rr]etry-[Aa]fter: *0*\([1-9][0-9]\{0,3\}\)[[:space:]]*$/\1/p' "$ltsp_join_run/header" | tail -n 1)
		ltsp_why="$ltsp_url answers $ltsp_code: $(head -n 1 "$ltsp_join_run/join.yaml" | LC_ALL=C tr -cd '[:print:]')"
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
	{
		timeout -k 10 600 kubeadm join --config "$ltsp_join_run/join.yaml" \
			--ignore-preflight-errors=DirAvailable--etc-kubernetes-manifests </dev/null 2>&1
		echo $? >"$ltsp_join_run/status"
	} | sed -u 's/\([a-z0-9]\{6\}\)\.[a-z0-9]\{16\}/\1.***/g' | tee "$ltsp_join_run/output" >&2
	rm -f "$ltsp_join_run/join.yaml"
	read -r ltsp_status <"$ltsp_join_run/status"
	case $ltsp_status in
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

# ltsp_leave: marks the Node as not ready. It would count as alive until its Lease ends, and kubeadm refuses the name of a Node that is Ready.
ltsp_leave() {
	[ -e "$ltsp_kubernetes/kubelet.conf" ] || return 0
	# The kubelet's name for itself.
	ltsp_name=$(sed -n 's/.*--hostname-override=\([^ "]*\).*/\1/p' "$ltsp_kubelet/kubeadm-flags.env" 2>/dev/null)
	ltsp_name=${ltsp_name:-$(uname -n | tr '[:upper:]' '[:lower:]')}
	ltsp_server=$(sed -n 's/^ *server: //p' "$ltsp_kubernetes/kubelet.conf")
	ltsp_condition='"type": "Ready", "status": "Unknown", "reason": "NodeShutdown", "message": "The node has said that it shuts down."'
	ltsp_api --request DELETE "$ltsp_server/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/$ltsp_name" &&
		ltsp_api --request PATCH --header 'Content-Type: application/strategic-merge-patch+json' \
			--data "{\"status\": {\"conditions\": [{$ltsp_condition}]}}" "$ltsp_server/api/v1/nodes/$ltsp_name/status" ||
		echo "<4>the cluster takes $ltsp_name for alive until its Lease has run out" >&2
}

# ltsp_clean: removes files of a former try or, on a disk, of a former boot. kubeadm would refuse them, or kubelet use another node's identity.
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
	ltsp_random=$(od -A n -t u2 -N 2 /dev/urandom | tr -d ' ')
	ltsp_seconds=$((ltsp_backoff * (50 + ltsp_random % 51) / 100))
	[ "$ltsp_seconds" -ge "${ltsp_retry_after:-0}" ] || ltsp_seconds=$ltsp_retry_after
	ltsp_backoff=$((ltsp_backoff < 150 ? ltsp_backoff * 2 : 300))
	ltsp_say_failure "this node has not joined its cluster: $ltsp_why; attempt $ltsp_attempt, the next in $ltsp_seconds s"
	sleep "$ltsp_seconds"
}

# ltsp_join: returns when the node has joined, however long that takes.
ltsp_join() {
	if ltsp_has_joined; then
		echo "<5>this node has joined its cluster already" >&2
		return
	fi
	ltsp_begin=$(ltsp_uptime) ltsp_attempt=1 ltsp_backoff=5 ltsp_said='' ltsp_said_at=0
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
	ltsp_now=$(ltsp_uptime)
	echo "<5>this node has joined its cluster in $((ltsp_now - ltsp_begin)) s, at attempt $ltsp_attempt, $ltsp_now s after its kernel started"
}

# ltsp_import_images: archives of the image become images of the engine, so that no registry is needed for them.
ltsp_import_images() {
	ltsp_status=0
	for ltsp_file in "${LTSP_PREFIX-}"/usr/share/ltsp/container-images/*.tar; do
		case $KUBERNETES_ENGINE in
		docker) set -- docker load --quiet --input ;;
		*) set -- ctr --address "${KUBERNETES_CRI_SOCKET#unix://}" --namespace k8s.io images import ;;
		esac
		if ! ltsp_output=$(timeout -k 10 300 "$@" "$ltsp_file" 2>&1); then
			echo "<3>$ltsp_file was not imported: $(echo "$ltsp_output" | tail -n 1)"
			ltsp_status=1
		fi
	done
	return "$ltsp_status"
}
