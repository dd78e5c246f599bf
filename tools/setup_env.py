# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the virtual environments of `make demo` and `make test`, once, and finds the GL libraries of headless Blender.

Runs in whatever Python make found, so it keeps to syntax that any Python 3 can read: a wrong Python gets one line.
"""

import argparse
import ctypes
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REQUIREMENTS = os.path.join(ROOT, "requirements")
# Which Blender each environment gets, by its name: (folder, Python, bpy).
MAIN_BLENDER_BY_PYTHON = {(3, 11): "bpy==4.5.*", (3, 13): "bpy==5.2.*"}
FURTHER = {"bpy5.0": ((3, 11), "bpy==5.0.*"), "bpy5.2": ((3, 13), "bpy==5.2.*")}
# What the bpy module links to or opens, and the Debian package that has it. libvulkan comes inside the wheel.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
}
MESA_PACKAGES = ["libegl-mesa0", "libgl1-mesa-dri"]
STAMP = "animerun-setup.txt"


class SetupError(Exception):
    """Something the user can put right; the message says how."""


def say(line: str) -> None:
    """Tell the user what takes time."""
    print("setup: " + line, flush=True)


def check_python() -> None:
    """The one line that anybody with another Python gets."""
    if sys.version_info[:2] not in MAIN_BLENDER_BY_PYTHON:
        raise SetupError(
            "Python %d.%d cannot run Blender as a module: use Python 3.11 (Blender 4.5 LTS) or "
            "Python 3.13 (Blender 5.2 LTS), for example `make demo PYTHON=python3.11`" % sys.version_info[:2]
        )


def run(command: "list[str]", doing: str) -> None:
    """Run one command quietly; its output is shown only when it fails."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    output = result.stdout.decode(errors="replace")
    if result.returncode != 0:
        sys.stderr.write(output[-4000:])
        raise SetupError("%s failed: `%s` ended with code %d" % (doing, " ".join(command), result.returncode))


# GL libraries ---------------------------------------------------------------------------------------------------------


def missing_library_packages() -> "list[str]":
    """Debian packages of the shared libraries that cannot be opened here."""
    missing = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    if not has_gl_driver():
        missing += MESA_PACKAGES
    return missing


def has_gl_driver() -> bool:
    """Whether EGL finds a vendor: NVIDIA's own, or Mesa's together with its drivers."""
    try:
        ctypes.CDLL("libEGL_nvidia.so.0")
        return True
    except OSError:
        pass
    try:
        ctypes.CDLL("libEGL_mesa.so.0")
    except OSError:
        return False
    folders = ["/usr/lib/*/", "/usr/lib/", "/usr/lib64/", "/usr/local/lib/*/"]
    return any(glob.glob(folder + name) for folder in folders for name in ("dri/*_dri.so", "libgallium*.so"))


def provide_gl_libraries() -> None:
    """Install with apt where that is possible, else name the packages."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_library_packages()
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError("headless Blender needs libraries of these packages (Debian's names): " + " ".join(missing))
    apt_install(missing)
    missing = missing_library_packages()
    if missing:
        raise SetupError("apt-get installed the GL libraries, but these still cannot be opened: " + " ".join(missing))


def apt_install(packages: "list[str]") -> None:
    """Install Debian packages; root only."""
    say("installing with apt-get: " + " ".join(packages))
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run(["apt-get", "update"], "refreshing the package lists")
    run(["apt-get", "install", "-y", "--no-install-recommends"] + packages, "installing packages")


# Virtual environments -------------------------------------------------------------------------------------------------


def venv_python(folder: str) -> str:
    """The interpreter of an environment."""
    return os.path.join(folder, "Scripts" if os.name == "nt" else "bin", "python")


def fingerprint(blender: str) -> str:
    """Changes whenever anything that decides an environment's content changes."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(REQUIREMENTS)):
        with open(os.path.join(REQUIREMENTS, name), "rb") as file:
            digest.update(file.read())
    for name in ("pyproject.toml", os.path.join("tools", "setup_env.py")):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    # A venv does not survive being moved (its scripts carry their path), nor another Python.
    digest.update("|".join([blender, sys.version, ROOT]).encode())
    return digest.hexdigest()


def is_ready(folder: str, blender: str) -> bool:
    """Whether the environment was made to its end, from what is asked for now."""
    try:
        with open(os.path.join(folder, STAMP)) as file:
            return file.read() == fingerprint(blender)
    except OSError:
        return False


def create_venv(folder: str) -> None:
    """An empty environment in the place of a broken or outdated one."""
    if os.path.exists(folder):
        shutil.rmtree(folder)
    command = [sys.executable, "-m", "venv", folder]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode == 0:
        return
    shutil.rmtree(folder, ignore_errors=True)
    package = "python%d.%d-venv" % sys.version_info[:2]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        apt_install([package])
        run(command, "making the virtual environment " + folder)
    else:
        raise SetupError("this Python has no working venv module: install %s" % package)


def pip_install(folder: str, arguments: "list[str]", doing: str) -> None:
    """Install into an environment."""
    command = [venv_python(folder), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    run(command + arguments, doing)


def requirement_files(*names: str) -> "list[str]":
    """pip options that name files of requirements/."""
    return [word for name in names for word in ("-r", os.path.join(REQUIREMENTS, name))]


def install_torch(folder: str) -> None:
    """Only where the index offers the CPU build: nothing here is worth gigabytes of CUDA unasked."""
    path = os.path.join(folder, "torch-report.json")
    pip_install(folder, ["--dry-run", "--report", path] + requirement_files("torch.txt"), "asking for torch")
    with open(path) as file:
        names = [item["metadata"]["name"] for item in json.load(file)["install"]]
    os.remove(path)
    if any(name.startswith("nvidia") for name in names):
        say(
            "torch left out: this index has only its CUDA build for Python %d.%d (gigabytes). For the CPU build set "
            "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu and delete %s"
            % (sys.version_info[:2] + (folder,))
        )
        return
    pip_install(folder, requirement_files("torch.txt"), "installing torch")


def prepare(folder: str, blender: str, is_main: bool) -> None:
    """Make the environment unless it stands. The stamp is written last: a broken run is repeated."""
    if is_ready(folder, blender):
        return
    say("making %s with %s (a few minutes, once)" % (os.path.basename(folder), blender))
    provide_gl_libraries()
    create_venv(folder)
    pip_install(folder, [blender], "installing Blender as a module")
    # OpenCV's wheel asks for numpy 2, which bpy 4.5 and 5.0 refuse; it runs on 1.26 as well.
    pip_install(folder, ["--no-deps"] + requirement_files("bundled.txt"), "installing OpenCV and OpenEXR")
    pip_install(folder, requirement_files("test.txt"), "installing the test tools")
    if is_main:
        pip_install(folder, requirement_files("runtime.txt", "lint.txt"), "installing the packages")
        install_torch(folder)
        pip_install(folder, ["--no-deps", "--editable", ROOT], "installing the project")
    check_rendering(folder)
    with open(os.path.join(folder, STAMP), "w") as file:
        file.write(fingerprint(blender))


def check_rendering(folder: str) -> None:
    """One tiny Workbench frame: proof that bpy, numpy and GL work together here."""
    script = os.path.join(ROOT, "tools", "check_rendering.py")
    run([venv_python(folder), script], "rendering a test frame without a display")


def main() -> int:
    """Make one environment; 2 when the user has to do something first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", nargs="?", default="main", choices=["main"] + sorted(FURTHER))
    name = parser.parse_args().environment
    try:
        check_python()
        if name == "main":
            prepare(os.path.join(ROOT, ".venv"), MAIN_BLENDER_BY_PYTHON[sys.version_info[:2]], True)
        else:
            python, blender = FURTHER[name]
            if sys.version_info[:2] != python:
                raise SetupError("the environment %s needs Python %d.%d" % ((name,) + python))
            prepare(os.path.join(ROOT, ".venv-" + name), blender, False)
    except SetupError as error:
        sys.stderr.write("setup: %s\n" % error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
