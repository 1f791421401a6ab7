"""`aiconform images`: what test Pods run."""

from __future__ import annotations

import click

from aiconform.cli.common import output_option, print_json


@click.command("images")
@click.option("--image-registry", default="", metavar="REGISTRY", help="Show the names on this mirror, too.")
@output_option
def command(image_registry: str, output: str) -> None:
    """List the images that test Pods run. A mirror (--image-registry) keeps their path and tag."""
    from aiconform.platform.images import IMAGES, Images

    images = Images(image_registry)
    if output == "json":
        print_json([{"purpose": purpose, "image": IMAGES[purpose], "used": images[purpose]} for purpose in IMAGES])
        return
    for purpose, public in IMAGES.items():
        click.echo(f"{public}\t{images[purpose]}" if image_registry else public)
