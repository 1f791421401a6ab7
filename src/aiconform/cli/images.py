"""`aiconform images`: the images of test Pods."""

from __future__ import annotations

import click

from aiconform.cli.common import output_option, print_json


@click.command("images")
@click.option("--image-registry", default="", metavar="REGISTRY", help="Also show the names on this mirror.")
@click.option("--image-digests", is_flag=True, help="Show the names with digests.")
@output_option
def command(image_registry: str, image_digests: bool, output: str) -> None:
    """List the images of test Pods. A mirror (--image-registry) has them under the same path and tag.

    Every image is an index over several architectures: mirror all of it, then nodes of each of them find their own and
    its digest stays the same.
    """
    from aiconform.platform.images import DIGESTS, IMAGES, Images

    public, images = Images(digests=image_digests), Images(image_registry, image_digests)
    if output == "json":
        print_json(
            [
                {
                    "purpose": purpose,
                    "image": IMAGES[purpose],
                    "used": images[purpose],
                    "digest": DIGESTS[purpose],
                }
                for purpose in IMAGES
            ]
        )
        return
    for purpose in IMAGES:
        click.echo(f"{public[purpose]}\t{images[purpose]}" if image_registry else public[purpose])
