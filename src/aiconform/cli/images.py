"""`aiconform images`: the images of test Pods."""

from __future__ import annotations

import click

from aiconform.cli.common import output_option, print_json


@click.command("images")
@click.option("--image-registry", default="", metavar="REGISTRY", help="Also show the names on this mirror.")
@output_option
def command(image_registry: str, output: str) -> None:
    """List the images of test Pods. A mirror (--image-registry) has them under the same path and tag."""
    from aiconform.platform.images import IMAGES, Images

    images = Images(image_registry)
    if output == "json":
        print_json([{"purpose": purpose, "image": IMAGES[purpose], "used": images[purpose]} for purpose in IMAGES])
        return
    for purpose, public in IMAGES.items():
        click.echo(f"{public}\t{images[purpose]}" if image_registry else public)
