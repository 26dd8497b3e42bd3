"""Where this machine's own packages come from, read from its apt sources as they are found in the wild."""

from __future__ import annotations

from pathlib import Path

import pytest

from osc.sandbox.apt import candidate_version, debian_mirrors, os_release, run
from osc.sandbox.distributions import SandboxError

BOOKWORM = {"ID": "debian", "VERSION_CODENAME": "bookworm", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}


def sources(folder: Path, **files: str) -> Path:
    """An /etc/apt with these files; `__` in a name stands for a dot."""
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        place = folder if name == "sources__list" else folder / "sources.list.d"
        (place / name.replace("__", ".")).write_text(text)
    return folder


def test_a_one_line_source_with_options_names_the_mirror(tmp_path: Path) -> None:
    text = (
        "# deb http://old.example/debian bookworm main\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] http://one.example/debian bookworm main contrib # ours\n"
        "deb http://security.example/debian-security bookworm-security main\n"
    )
    assert debian_mirrors(sources(tmp_path, sources__list=text), BOOKWORM) == ["http://one.example/debian"]


def test_a_deb822_source_names_the_mirror(tmp_path: Path) -> None:
    text = (
        "Types: deb deb-src\nURIs: http://two.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://security.example/debian-security\nSuites: bookworm-security\nComponents: main\n"
    )
    assert debian_mirrors(sources(tmp_path, debian__sources=text), BOOKWORM) == ["http://two.example/debian"]


def test_archives_of_others_are_left_out_or_left_to_their_signature(tmp_path: Path) -> None:
    etc_apt = sources(
        tmp_path,
        sources__list="deb cdrom:[Debian 12]/ bookworm main\ndeb http://deb.example/debian stable main\n",
        container__list="deb https://containers.example/linux/debian bookworm stable\n",
        vendor__list="deb https://vendor.example/debian/12/prod bookworm main\n",
        saved__list__save="deb http://saved.example/debian bookworm main\n",
    )
    assert debian_mirrors(etc_apt, BOOKWORM) == ["http://deb.example/debian", "https://vendor.example/debian/12/prod"]


def test_a_machine_without_a_debian_archive_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="nowhere to fetch"):
        debian_mirrors(sources(tmp_path), BOOKWORM)


def test_another_system_is_told_what_it_can_do_instead(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"Fedora Linux 42.*compose\.yaml"):
        debian_mirrors(tmp_path, {"ID": "fedora", "PRETTY_NAME": "Fedora Linux 42"})


def test_os_release_values_may_be_quoted(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    assert os_release(file) == {"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
    assert os_release(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("candidate", "version"),
    [("1:11.8.9+ds-4", "11.8.9"), ("9.7.4-2", "9.7.4"), ("1:10.11.19-0+deb12u1", "10.11.19"), ("(none)", None)],
)
def test_a_candidate_is_read_without_epoch_and_revision(candidate: str, version: str | None) -> None:
    assert candidate_version(f"a-package:\n  Installed: 1.2\n  Candidate: {candidate}\n  Version table:\n") == version


def test_a_command_that_fails_is_quoted_with_what_it_said() -> None:
    with pytest.raises(SandboxError, match=r"Trying failed \(exit code 3\):\nno luck"):
        run(["sh", "-c", "echo no luck >&2; exit 3"], "Trying")
