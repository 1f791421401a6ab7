"""Four honest people: a vendor for the first time, one who renews, a reviewer of a pull request, and a buyer.

Every command is called as they would, over a recorded run of the lab; of each, the exit code and the sentence that the
person needs. AICONFORM_TRANSCRIPTS=FOLDER keeps what they read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.certify_material import METADATA, MUST, product, write
from support.transcripts import Person

from aiconform.certify.submission import FILE

RUN = Path(__file__).parents[2] / "runs/whole-healthy"
ABOUT = {
    "platformName": "Acme AI Platform",
    "platformVersion": "4.2",
    "vendorName": "Acme Inc.",
    "websiteUrl": "https://acme.example/",
    "documentationUrl": "https://acme.example/docs/4.2/",
    "productLogoUrl": "https://acme.example/logo.svg",
    "description": "Kubernetes for training and inference on your own machines.",
    "contactEmailAddress": "conformance@acme.example",
    "k8sConformanceUrl": "https://github.com/cncf/k8s-conformance/tree/master/v1.37/acme",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(RUN, tmp_path / "home/acme-run")
    (tmp_path / "home/acme.yaml").write_text(yaml.safe_dump(ABOUT, sort_keys=False))
    return tmp_path / "home"


@pytest.fixture
def person(request: pytest.FixtureRequest, home: Path) -> Iterator[Person]:
    someone = Person(request.param, home)
    yield someone
    someone.leaves()


def built(person: Person) -> None:
    """A signed bundle of Acme for v1.37 in corpus/, as its vendor makes it; no part of the transcript."""
    person.calls("aiconform certify init --kubernetes v1.37 --metadata acme.yaml --no-input --out corpus/v1.37/acme", 0)
    person.calls("aiconform certify build acme-run --out corpus/v1.37/acme --redact", 0)
    person.calls("aiconform certify sign corpus/v1.37/acme --new-key acme.key", 0)
    person.said.clear()


@pytest.mark.parametrize("person", ["vendor"], indirect=True)
def test_a_vendor_for_the_first_time(person: Person) -> None:
    bundle = "v1.37/acme"
    person.calls("aiconform judge acme-run", 0, "The report agrees with the observations")
    person.calls(
        f"aiconform certify init --kubernetes v1.37 --no-input --out {bundle}",
        0,
        "write it again with --metadata FILE",
    )
    person.calls(f"aiconform certify build acme-run --out {bundle} --redact", 2, "fill in platformName")
    person.thinks("So I say first what the product is.")
    person.calls("cat acme.yaml", 0)
    person.calls(
        f"rm {bundle}/PRODUCT.yaml\n"
        f"aiconform certify init --kubernetes v1.37 --metadata acme.yaml --no-input --out {bundle}",
        0,
        f"{bundle}/{FILE}",
    )
    person.calls(
        f"aiconform certify build acme-run --out {bundle} --redact --word acme-internal",
        0,
        "pass            gang_scheduling",
        "for the vendor  gpu_sharing: no run covers it",
        "aiconform certify validate",
    )
    person.calls(f"aiconform certify validate {bundle} --offline", 0, "valid", "F-simulated")
    person.calls(
        f"aiconform certify sign {bundle} --new-key acme.key", 0, "public key: acme.key.pub, ", "certify verify"
    )
    person.calls(
        f"aiconform certify verify {bundle} --key acme.key.pub",
        0,
        "pages        holds",
        "consistent   yes: the verdicts of 1 run follow from the observations",
        "8 by runs with simulated accelerators",
        "what is required holds: consistent, vouched",
    )
    person.thinks("An edit after the build.")
    path = person.home / bundle / FILE
    path.write_text(path.read_text().replace("Kubernetes for training and", "Kubernetes for"))
    person.calls(f"aiconform certify verify {bundle} --key acme.key.pub", 1, "digests: changed: 'PRODUCT.yaml'")
    person.calls(f"aiconform certify build acme-run --out {bundle} --redact --word acme-internal", 0, "sign again")
    person.calls(f"aiconform certify sign {bundle} --key acme.key", 0, f"verify {bundle} --key acme.key.pub")
    person.calls(f"aiconform certify verify {bundle} --key acme.key.pub --require valid", 0, "rules        met")


@pytest.mark.parametrize("person", ["renewal"], indirect=True)
def test_a_vendor_who_renews_with_the_next_version(person: Person) -> None:
    sharing = {"status": "Implemented", "evidence": [ABOUT["documentationUrl"]], "notes": "By time slices."}
    before = {**ABOUT, "kubernetesVersion": "v1.36", "platformVersion": "4.1"}
    before["k8sConformanceUrl"] = ABOUT["k8sConformanceUrl"].replace("1.37", "1.36")
    write(person.home / "corpus", product(metadata=before, gpu_sharing=sharing), "v1.36/acme")
    (person.home / "corpus/dates.yaml").write_text("v1.36/acme: 2026-01-10\n")
    life = "aiconform certify life corpus --dates corpus/dates.yaml"
    person.calls(f"{life} --date 2026-11-29", 0, "current    v1.36/acme", "counts until 2027-01-10")
    person.calls(
        "aiconform certify delta corpus/v1.36/acme --kubernetes v1.37",
        0,
        "8 to run again",
        "1 may be carried over",
        "certify init --from corpus/v1.36/acme",
    )
    person.calls(
        "aiconform certify init --from corpus/v1.36/acme --kubernetes v1.37 --metadata acme.yaml --no-input "
        "--out corpus/v1.37/acme",
        0,
        "may be carried over:",
        "next: aiconform certify build RUN --out corpus/v1.37/acme",
    )
    person.calls(
        "aiconform certify build acme-run --out corpus/v1.37/acme --redact",
        0,
        "pass            ai_inference",
        "gpu_sharing: no run covers it; answered 'Implemented' by its own evidence",
    )
    person.calls("aiconform certify validate corpus/v1.37/acme --offline", 0, "valid")
    person.calls("aiconform certify sign corpus/v1.37/acme --new-key acme.key", 0)
    person.calls("aiconform certify verify corpus/v1.37/acme --key acme.key.pub", 0)
    person.calls(
        "aiconform certify compare corpus/v1.36/acme corpus/v1.37/acme",
        0,
        "gang_scheduling: grade: documentation-link -> simulated",
        "gpu_sharing: evidence unchanged",
        "2 undated: name the day of acceptance with --dates FILE",
    )
    (person.home / "corpus/dates.yaml").write_text("v1.36/acme: 2026-01-10\nv1.37/acme: 2026-12-01\n")
    person.calls(f"{life} --date 2027-02-01", 0, "renewed    v1.36/acme", "renewed for v1.37")


@pytest.mark.parametrize("person", ["reviewer"], indirect=True)
def test_a_reviewer_of_a_pull_request(person: Person) -> None:
    built(person)
    corpus = person.home / "corpus"
    shutil.move(corpus / "v1.37/acme", person.home / "theirs")
    write(corpus, product(metadata={"kubernetesVersion": "v1.36"}), "v1.36/other")
    person.calls("cd corpus && git init -q && git add . && git commit -qm Start", 0)
    shutil.move(person.home / "theirs", corpus / "v1.37/acme")
    person.calls("cd corpus && git switch -qc pr && git add . && git commit -qm 'Acme for v1.37'", 0)
    person.said.clear()
    bundle = "corpus/v1.37/acme"
    person.calls(
        "aiconform certify validate --against corpus --changed main --offline --markdown comment.md",
        0,
        "1 of 1 valid by the programme's rules",
    )
    comment = person.calls("cat comment.md", 0, "v1.37/acme: valid by the programme's rules", "simulated")
    assert all(requirement.replace("_", r"\_") in comment for requirement in MUST)
    person.thinks("The key from the vendor's site, not one of the submission.")
    person.calls(
        f"cp acme.key.pub {bundle}/; aiconform certify verify {bundle} --key {bundle}/acme.key.pub; "
        f"code=$?; rm {bundle}/acme.key.pub; exit $code",
        2,
        "whoever makes a bundle can put a key into it",
    )
    person.calls(f"aiconform certify verify {bundle}", 2, "say whom you trust: use one of --key")
    person.calls(
        f"aiconform certify verify {bundle} --key acme.key.pub", 0, "vouched for  ", "8 by runs with simulated"
    )
    person.calls(
        f"aiconform certify verify {bundle} --key acme.key.pub --require shown", 1, "required, and does NOT hold: shown"
    )
    person.thinks("What I would see of a README that somebody has improved.")
    readme = person.home / bundle / "README.md"
    honest = readme.read_text()
    readme.write_text(honest.replace("Accelerators were simulated", "Accelerators were real"))
    person.calls(f"aiconform certify verify {bundle} --unsigned", 1, "pages: README.md, line", "consistent   NO")
    readme.write_text(honest)
    person.thinks("I ask for a run that answers a number of mine.")
    person.calls(
        "aiconform certify challenge --for 'Acme Inc.' --out challenge.json", 0, "challenge.json", "certify verify"
    )
    person.calls(
        f"aiconform certify verify {bundle} --key acme.key.pub --challenge challenge.json",
        1,
        "challenge: runs/",
        "required, and does NOT hold: challenged",
    )
    appeal = f"aiconform certify appeal {bundle}"
    person.calls(f"{appeal} --by 'Jane Doe' --about gang_scheduling --why 'Half of a gang ran.'", 0)
    person.calls("aiconform certify life corpus", 0, "appeal 1 of", "open")
    person.calls(f"aiconform certify verify {bundle} --key acme.key.pub", 0, "1 appeal not decided")
    person.calls(f"{appeal} --decide 1 --outcome rejected --why 'It was another cluster.'", 0)


@pytest.mark.parametrize("person", ["buyer"], indirect=True)
def test_a_buyer_who_compares_two_platforms(person: Person) -> None:
    built(person)
    other = {**METADATA, "platformName": "Bravo Cloud", "vendorName": "Bravo", "platformVersion": "9"}
    write(person.home / "corpus", product(metadata=other), "v1.37/bravo")
    (person.home / "dates.yaml").write_text("v1.37/acme: 2026-11-03\nv1.37/bravo: 2025-10-01\n")
    day = "--dates dates.yaml --date 2026-11-29"
    person.calls(
        f"aiconform certify registry build corpus site {day}", 0, "2 submissions of 2 platforms", "site/index.html"
    )
    person.calls(
        f"aiconform certify compare corpus/v1.37/acme corpus/v1.37/bravo {day}",
        0,
        "Acme AI Platform 4.2",
        "Bravo Cloud 9",
        "counts until 2027-11-03",
        "expired",
        "MUST Implemented (simulated)",
        "MUST Implemented (documentation-link)",
        "simulated: ",
    )
    said = person.calls(f"aiconform certify compare corpus/v1.37/acme corpus/v1.37/bravo {day} -o json", 0)
    states = {each["slug"]: (each["state"], each["expires"]) for each in json.loads(said)["submissions"]}
    assert states == {"acme": ("current", "2027-11-03"), "bravo": ("expired", "2026-10-01")}
    person.calls(f"aiconform certify life corpus {day}", 0, "expired    v1.37/bravo")
    person.calls("ls site site/platforms", 0, "acme.html", "bravo.html")
