import sys; sys.path.insert(0,"/work/main/tests/unit/lab")
from test_main import *
from test_main import Command
@pytest.mark.parametrize("i", range(25))
def test_loop(lab, farm, settings, machines, playbook, i):
    node = describe(1).nodes[0]
    machines.tell(node, console="systemd[1]: Hello\n")
    p = lab.directory / "python/sitecustomize.py"
    p.write_text(p.read_text() + "\nimport faulthandler, signal\nfaulthandler.register(signal.SIGUSR1, all_threads=True)\n")
    process = lab.start("--nodes=1", LTSP_LAB_ACCELERATOR="tcg", LTSP_LAB_NAME=settings.name)
    wait_for(lambda: machines.commands.calls("ssh"))
    process.send_signal(signal.SIGTERM)
    try:
        _out, error = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        print(process.poll(), open(f"/proc/{process.pid}/status").read())
        process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        process.kill()
        out, error = process.communicate()
        print(out); print(error)
        raise
    assert process.returncode == 130
for name in list(globals()):
    if name.startswith("test_") and name != "test_loop": del globals()[name]
