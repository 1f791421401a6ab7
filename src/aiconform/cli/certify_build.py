"""The commands of `aiconform certify` for vendors with a run: build, redact and sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiconform.cli.certify_options import FILE, FOLDER, checklists_option, print_result, sigstore_option
from aiconform.cli.common import fail, note, output_option


@click.command(short_help="Build a bundle from runs.")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--product",
    type=FILE,
    help="PRODUCT.yaml to start from, by default that in --out; comments and order are kept.",
)
@click.option("--out", type=FOLDER, required=True, help="Folder of the bundle: vX.Y/<product>.")
@click.option("--layer", "layer", metavar="ID=TEXT", multiple=True, help="The layer that provides a requirement.")
@click.option("--layers", type=FILE, help="A YAML mapping of requirement ids to layers.")
@click.option("--redact", "redacted", is_flag=True, help="Redact the runs: node names, addresses, accounts, tokens.")
@click.option("--word", "words", metavar="TEXT", multiple=True, help="Also redact this text, everywhere.")
@checklists_option
@output_option
def build(
    runs: tuple[Path, ...],
    product: Path | None,
    out: Path,
    layer: tuple[str, ...],
    layers: Path | None,
    redacted: bool,
    words: tuple[str, ...],
    checklists: Path | None,
    output: str,
) -> None:
    """Build a bundle from run directories: claims, test artifacts, a README and the evidence.

    What no run decided stays as it is in --product, and is marked for the vendor. Placeholders of the metadata are
    filled in before. Built again into the same folder, what an earlier build made is replaced and your own files stay;
    where nothing has changed, so does the signature.
    """
    from aiconform.certify.build import CannotBuild, read_layers
    from aiconform.certify.build import build as make
    from aiconform.certify.redaction import CannotRedact, Redaction
    from aiconform.certify.submission import FILE as PRODUCT

    if words and not redacted:
        raise click.UsageError("--word needs --redact")
    layer_of = {}
    try:
        layer_of = read_layers(layers) if layers else {}
        for entry in layer:
            requirement, equals, text = entry.partition("=")
            if not equals:
                raise click.BadParameter(f"{entry!r} is not ID=TEXT", param_hint="--layer")
            layer_of[requirement] = text
        unknown = sorted(layer_of.keys() - set(_ids()))
        if unknown:
            fail(f"--layer: there is no requirement {unknown[0]!r}: see `aiconform spec list`")
        redaction = Redaction(words) if redacted else None
        built = make(runs, product, out, layers=layer_of, redaction=redaction, checklists=checklists)
    except (CannotBuild, CannotRedact) as error:
        fail(str(error))
    for text in built.notes:
        note(text)
    if output == "json":
        print_result({"bundle": str(built.folder), "version": built.version, "shown": built.shown, "open": built.open})
        return
    for requirement, verdict in built.shown.items():
        click.echo(f"{verdict:<15} {requirement}")
    for requirement, reason in built.open.items():
        click.echo(f"{'for the vendor':<15} {requirement}: {reason[:200]}")
    click.echo(built.folder)
    if built.open:
        note(f"{built.folder / PRODUCT}: answer what is for the vendor (a SHOULD may stay blank), and build again")
    note(f"next: aiconform certify validate {built.folder}")


def _ids() -> tuple[str, ...]:
    from aiconform.spec import load_standard

    return load_standard().ids


@click.command(short_help="Copy a run without infrastructure names.")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="New folder for the redacted run.")
@click.option("--word", "words", metavar="TEXT", multiple=True, help="Also redact this text, everywhere.")
@output_option
def redact(run: Path, out: Path, words: tuple[str, ...], output: str) -> None:
    """Copy a run without node names, addresses, account numbers and tokens.

    Every verdict is computed again from the copy and must be the same; the copy says that it was redacted.
    """
    from aiconform.certify.redaction import CannotRedact, Redaction
    from aiconform.certify.redaction import redact as make

    try:
        counts = make(run, out, Redaction(words))
    except CannotRedact as error:
        fail(str(error))
    if output == "json":
        print_result({"run": str(out), "placeholders": counts})
        return
    for kind, count in counts.items():
        note(f"{count} {kind} replaced")
    click.echo(out)


@click.command(short_help="Attest every file of a bundle.")
@click.argument("bundle", type=FOLDER)
@click.option("--key", type=FILE, help="Private key (PEM); its password is read from AICONFORM_KEY_PASSWORD.")
@click.option("--new-key", type=FILE, help="First create an Ed25519 key here (and its public key as .pub).")
@click.option("--keyless", is_flag=True, help="Sign with an OIDC identity through sigstore; needs the network.")
@click.option("--identity-token", metavar="TOKEN", envvar="SIGSTORE_ID_TOKEN", help="The OIDC token for --keyless.")
@sigstore_option
@click.option("--by", metavar="TEXT", help="Name of the signer; vendorName by default.")
@click.option(
    "--countersign", is_flag=True, help="Add a second signature, for example of a witness, to that of the vendor."
)
@click.option("--timestamp", metavar="URL", help="Have a timestamp authority (RFC 3161) confirm when this was signed.")
def sign(
    bundle: Path,
    key: Path | None,
    new_key: Path | None,
    keyless: bool,
    identity_token: str | None,
    sigstore_config: Path | None,
    by: str | None,
    countersign: bool,
    timestamp: str | None,
) -> None:
    """Sign a bundle: an in-toto attestation of every file's digest, the platform, the runs and the standard.

    With --countersign, somebody else signs the same statement as well; it has to fit the bundle.
    """
    from aiconform.certify import attestation
    from aiconform.certify.bundle import BadBundle, opened
    from aiconform.certify.keyless import Deployment, NoDeployment, sign_keyless
    from aiconform.certify.place import refuse_leftovers
    from aiconform.certify.submission import FILE as PRODUCT
    from aiconform.certify.submission import Unreadable
    from aiconform.certify.timestamps import NoTimestamp, add_timestamp

    if sum(map(bool, (key, new_key, keyless))) != 1:
        raise click.UsageError("use one of --key, --new-key and --keyless")
    if sigstore_config and not keyless:
        raise click.UsageError("--sigstore-config goes with --keyless")
    if keyless and timestamp:
        raise click.UsageError("--keyless signs with a time that sigstore proves: leave out --timestamp")
    if countersign and by:
        raise click.UsageError("--countersign signs what was signed before: leave out --by")
    if not bundle.is_dir():
        fail(f"{bundle} is not a folder: sign a bundle before packing it")
    try:
        with opened(bundle) as folder:
            refuse_leftovers(folder)
            deployment = Deployment.of(sigstore_config) if sigstore_config else Deployment()
            content = _statement(folder, by, countersign=countersign)
            if new_key:
                _tell_of_key(attestation.new_key(new_key))
                key = new_key
            if key is None:
                path, signer = sign_keyless(content, folder, deployment, identity_token, countersign=countersign)
                click.echo(bundle / path.name)
                note(f"next: aiconform certify verify {bundle} --identity {signer.identity} --issuer {signer.issuer}")
                return
            if countersign:
                click.echo(bundle / attestation.countersign(content, key, folder).name)
            else:
                click.echo(bundle / attestation.sign_with_key(content, key, folder).name)
            if not countersign:
                beside = attestation.public_beside(key)
                note(f"next: aiconform certify verify {bundle} --key {beside if beside.exists() else 'YOUR.pub'}")
            if timestamp:
                when = add_timestamp(folder, attestation.signature_of(folder, key), timestamp)
                note(f"{timestamp} confirms that it was signed at {when.isoformat()}")
    except (BadBundle, attestation.SigningFailed, attestation.NotAttested, NoDeployment, NoTimestamp) as error:
        fail(str(error))
    except Unreadable as error:
        fail(f"{bundle / PRODUCT}, line {error.line}: {error.problem}; {error.help}")


def _tell_of_key(public: Path) -> None:
    """What somebody has to do who has a new key."""
    from aiconform.certify.trust import of_key

    note(f"public key: {public}, {of_key(public).signers[0].fingerprint}")
    note("publish it where reviewers know that it is yours, such as your website; never in the bundle")


def _statement(folder: Path, by: str | None, *, countersign: bool) -> dict[str, Any]:
    """What is to be signed. Ends with exit code 2 for what nobody should sign. Raises Unreadable, NotAttested."""
    from aiconform.certify import attestation
    from aiconform.certify.bundle import digests
    from aiconform.certify.predicate import predicate
    from aiconform.certify.runs import Runs
    from aiconform.certify.submission import FILE as PRODUCT
    from aiconform.certify.submission import is_placeholder, read_submission
    from aiconform.certify.verify import unlike_the_statement
    from aiconform.certify.verify import verify as check
    from aiconform.engine.journal import now

    submission = read_submission(folder / PRODUCT)
    for given in (submission.metadata or {}).values():
        if is_placeholder(given.text):
            fail(f"{folder.name}/{PRODUCT}, line {given.line}: fill in {given.key} before somebody signs it")
    found = check(folder, None)
    for problem in (*found.problems, *found.unread):
        fail(f"{problem}: a bundle that cannot be verified is not signed")
    if countersign:
        content = attestation.attested(folder)
        for problem in unlike_the_statement(folder, content["subjects"], content["predicate"]):
            fail(f"{problem}: what was signed is not this bundle")
        return attestation.statement(content["subjects"], content["predicate"])
    runs, _ = Runs(folder).every()
    signed = predicate(submission, runs, by=by or submission.value("vendorName"), when=now())
    return attestation.statement(digests(folder), signed)
