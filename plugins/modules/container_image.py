#!/usr/bin/python
# Copyright: (c) 2026, The serverfarm.ltsp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Make a container image from directories and push it
version_added: 0.3.0
author:
  - The serverfarm.ltsp contributors (@serverfarm)
description:
  - Makes an image in which every layer is one directory, loads it into Docker Engine, gives it its name there and pushes it.
  - The same directories and options give the same image, bit by bit, on every machine and every engine. The image goes to the engine as a stream, nothing is
    written to the disk of the host.
  - When the engine has the image under its name and the registry answers with the digest that the engine knows for it, nothing is loaded or pushed.
  - Docker Engine fetches from and pushes to the registry. This module never talks to it.
options:
  name:
    description:
      - Registry and repository, as C(registry.example.org/farm/ltsp).
    type: str
    required: true
  tag:
    description:
      - The tag. By default it is the first 12 digits of the image's identity, so that another image has another tag.
    type: str
  layers:
    description:
      - The layers. The one that changes least comes first. Files keep their owners and modes; extended attributes stay behind.
    type: list
    elements: dict
    required: true
    suboptions:
      src:
        description: A directory on the host.
        type: path
        required: true
      dest:
        description: The directory in the image. Missing directories above it belong to root.
        type: str
        default: /
      exclude:
        description: Patterns of paths that stay out, relative to O(layers[].src); see O(serverfarm.ltsp.squashfs_image#module:exclude).
        type: list
        elements: str
        default: []
      time:
        description: The time stamp of everything in the layer. The newest one is that of the image.
        type: str
        default: "1970-01-01T00:00:00Z"
      comment:
        description: Comment on the layer in the history of the image.
        type: str
        default: ""
  entrypoint:
    description:
      - The program of the image with its first arguments.
    type: list
    elements: str
    default: []
  user:
    description:
      - User and group of its process, as C(65532:65532).
    type: str
    default: ""
  exposed_ports:
    description:
      - Ports on which it listens, as C(80/tcp).
    type: list
    elements: str
    default: []
  stop_signal:
    description:
      - The signal that ends it.
    type: str
    default: SIGTERM
  labels:
    description:
      - Labels of the image.
    type: dict
    default: {}
  architecture:
    description:
      - The architecture of the programs in it, as Docker names it.
    type: str
    default: amd64
  push:
    description:
      - Whether to push the image to its registry.
    type: bool
    default: true
  cache:
    description:
      - A file that caches the measures of layers, by inode, size and time stamps of all paths in them. An unchanged directory is then not read again.
      - The former name O(memory) is read until 0.5.0.
    type: path
    aliases: [memory]
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - serverfarm.ltsp.docker
attributes:
  check_mode:
    support: full
    details: The directories are measured, and the engine and the registry are asked.
  diff_mode:
    support: full
    details: Shows identity, tag and layers.
  platform:
    support: full
    platforms: posix
seealso:
  - module: serverfarm.ltsp.container_tree
  - module: serverfarm.ltsp.squashfs_image
"""

EXAMPLES = r"""
- name: Make an image of a tree and a program, and push it
  serverfarm.ltsp.container_image:
    name: registry.example.org/farm/hello
    layers:
      - {src: /srv/ltsp/private/bases/hello, exclude: [dev/*, proc/*, sys/*], comment: Debian}
      - {src: /root/hello, dest: /usr/local/bin, comment: The program}
    entrypoint: [/usr/local/bin/hello]
    user: 65532:65532
    username: builder
    password: "{{ vault_registry_password }}"
  register: hello

- name: Show how to name it in a manifest
  ansible.builtin.debug:
    msg: "{{ hello.image }}"

- name: Load it into the engine of another machine only
  serverfarm.ltsp.container_image:
    name: registry.example.org/farm/hello
    tag: test
    layers:
      - {src: /root/hello}
    docker_host: ssh://root@docker-1.example.org
    push: false
"""

RETURN = r"""
image:
  description: The image by its digest, by its tag when it was not pushed. V(null) in check mode when that is not known yet.
  returned: success
  type: str
  sample: registry.example.org/farm/ltsp@sha256:0f6b0c1a5c1f6a2f5fb77f1c2a8c6d2f9f0f9b8d0fbd8dbdbf0c11f4c8b8b1a2
id:
  description: Identity of the image, which is the SHA-256 of its configuration. V(null) in check mode when a directory does not exist yet.
  returned: success
  type: str
  sample: sha256:5b5c3dfba1b8d2de5d0e2b3a4c5b1fb5c1b3c2a1e9f80d7c6b5a49382716050f
tag:
  description: The tag.
  returned: success
  type: str
  sample: 5b5c3dfba1b8
digest:
  description: Digest in the registry. V(null) when the image was not pushed, or in check mode would be.
  returned: success
  type: str
layers:
  description: Comment, SHA-256 (C(diff_id)) and size in bytes of each layer.
  returned: success
  type: list
  elements: dict
size:
  description: Bytes of all layers, as they are before a registry compresses them.
  returned: success
  type: int
  sample: 412934144
"""

import json
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.serverfarm.ltsp.plugins.module_utils._container import engine
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.cache import Cache
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.image import Image, archive, assemble, check_ports, is_same
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.layers import parse_layer
from ansible_collections.serverfarm.ltsp.plugins.module_utils._container.registry import ContainerError, check_name, check_tag
from ansible_collections.serverfarm.ltsp.plugins.module_utils._module import Result, Task, difference, run_module
from ansible_collections.serverfarm.ltsp.plugins.module_utils._store.files import FilesError

_STRINGS = {"type": "list", "elements": "str", "default": []}
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "tag": {"type": "str"},
    "layers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "src": {"type": "path", "required": True},
            "dest": {"type": "str", "default": "/"},
            "exclude": _STRINGS,
            "time": {"type": "str", "default": "1970-01-01T00:00:00Z"},
            "comment": {"type": "str", "default": ""},
        },
    },
    "entrypoint": _STRINGS,
    "user": {"type": "str", "default": ""},
    "exposed_ports": _STRINGS,
    "stop_signal": {"type": "str", "default": "SIGTERM"},
    "labels": {"type": "dict", "default": {}},
    "architecture": {"type": "str", "default": "amd64"},
    "push": {"type": "bool", "default": True},
    "cache": {
        "type": "path",
        "aliases": ["memory"],
        "deprecated_aliases": [{"name": "memory", "version": "0.5.0", "collection_name": "serverfarm.ltsp"}],
    },
    **engine.ARGUMENTS,
}


def make_image(params: dict[str, t.Any], cache: Cache) -> Image:
    layers = [parse_layer(layer) for layer in params["layers"]]
    if not layers:
        raise ContainerError("layers: the list is empty: give at least one directory")
    settings = {
        "Entrypoint": params["entrypoint"],
        "ExposedPorts": {port: {} for port in check_ports(params["exposed_ports"])},
        "Labels": {key: str(value) for key, value in params["labels"].items()},
        "StopSignal": params["stop_signal"],
        "User": params["user"],
    }
    return assemble([(layer, cache.measure(layer)) for layer in layers], settings, params["architecture"])


def deliver(docker: engine.Engine, image: Image, reference: str, task: Task) -> tuple[bool, t.Optional[str]]:
    """Load the image into the engine and push it. Return whether that changed anything, and the digest in the registry."""
    known = docker.inspect(reference)
    loaded = known is not None and is_same(image, known)
    if not task.params["push"]:
        if not loaded and not task.check_mode:
            docker.load(archive(image, reference), reference)
        return not loaded, None
    before = docker.registry_digest(reference)
    if loaded and before is not None and f"{task.params['name']}@{before}" in (known or {}).get("RepoDigests", []):
        return False, before
    if task.check_mode:
        return True, None
    if not loaded:
        docker.load(archive(image, reference), reference)
    digest = docker.push(reference)
    return digest != before, digest


def run(task: Task) -> Result:
    name, push = task.params["name"], task.params["push"]
    registry = check_name(name)
    cache = Cache(task.params["cache"])
    if task.check_mode and not all(os.path.isdir(layer["src"]) for layer in task.params["layers"]):
        return {"changed": True, "image": None, "id": None, "tag": task.params["tag"], "digest": None, "layers": [], "size": 0}
    image = make_image(task.params, cache)
    if not task.check_mode:
        cache.save()
    tag = check_tag(task.params["tag"] or image.id.partition(":")[2][:12])
    reference = f"{name}:{tag}"
    with engine.connect(task.params, registry) as docker:
        if push:
            docker.login()
        before = docker.inspect(reference) if task.diff else None
        try:
            changed, digest = deliver(docker, image, reference, task)
        except (FilesError, ContainerError):
            # A wrong measure in the cache fails one run only.
            if not task.check_mode:
                cache.clear()
            raise
    result: Result = {
        "changed": changed,
        "image": f"{name}@{digest}" if digest else None if push else reference,
        "id": image.id,
        "tag": tag,
        "digest": digest,
        "layers": [{"comment": layer.comment, **measure._asdict()} for layer, measure in image.layers],
        "size": image.size,
    }
    if task.diff and changed:
        after = render(image.id, [f"{measure.diff_id} {layer.comment}" for layer, measure in image.layers])
        result["diff"] = difference(reference, render(before["Id"], before["RootFS"]["Layers"]) if before else "", after)
    return result


def render(identity: str, layers: list[str]) -> str:
    return json.dumps({"id": identity, "layers": layers}, indent=2) + "\n"


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_together=engine.REQUIRED_TOGETHER, supports_check_mode=True)
    run_module(module, run, subject="name")


if __name__ == "__main__":
    main()
