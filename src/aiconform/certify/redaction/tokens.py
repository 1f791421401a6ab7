"""The forms of credentials that can be told from other text wherever they stand, by who issues them.

A form is a regular expression. The issuers give their credentials prefixes so that scanners find them:
https://docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns ·
https://docs.gitlab.com/security/tokens/#token-prefixes · https://huggingface.co/docs/hub/security-tokens ·
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
"""

from __future__ import annotations

import re

PREFIXED = {
    "JSON Web Token": r"eyJ[\w-]{10,}(?:\.[\w-]+){1,3}\.[\w-]*",
    "GitHub": r"(?:gh[pousr]_|github_pat_)\w{20,}",
    "GitLab": r"(?:gl(?:pat|dt|rtr|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-|GR1348941)[\w.-]{16,}",
    "Hugging Face": r"(?:hf|api_org)_[A-Za-z0-9]{20,}",
    "OpenAI, Anthropic, OpenRouter and servers like theirs": r"sk-(?=[\w-]*[0-9])[\w-]{20,}",
    "NVIDIA": r"nvapi-[\w-]{20,}",
    "Groq": r"gsk_\w{20,}",
    "Replicate": r"r8_\w{20,}",
    "Perplexity, xAI": r"(?:pplx|xai)-[A-Za-z0-9]{20,}",
    "Databricks": r"dapi[0-9a-f]{32}(?:-\d)?",
    "Google": r"AIza[\w-]{35}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}",
    "AWS": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
    "Microsoft Entra": r"[\w.~-]{3}[78]Q~[\w.~-]{31,}",
    "DigitalOcean": r"do[opr]_v1_[a-f0-9]{64}",
    "Docker": r"dckr_[po]at_[\w-]{20,}",
    "npm": r"npm_[A-Za-z0-9]{30,}",
    "PyPI": r"pypi-[\w-]{50,}",
    "Slack": r"xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}",
    "Vault": r"hv[sbr]\.[\w-]{20,}",
    "HCP Terraform": r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}",
    "Stripe": r"[sr]k_(?:live|test)_\w{16,}",
    "SendGrid": r"SG\.[\w-]{16,}\.[\w-]{16,}",
    "Grafana": r"gl(?:sa|c)_[\w+/=]{20,}",
    "New Relic": r"NRAK-[A-Z0-9]{20,}",
    "age": r"AGE-SECRET-KEY-1[A-Z0-9]{50,}",
    "PEM in base64, as in kubeconfigs": r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{40,}",
}

_NAMED = (
    r"pass(?:word|wd|phrase)|pwd|secret|token|credentials?|(?:api|access|account|private|client|auth|shared)[_-]?"
    r"(?:access[_-]?)?key(?:[_-]?data)?|sig|signature"
)
IN_CONTEXT = (
    r"(?i:\b(?:bearer|basic|token)) (?P<value1>[\w.~+/-]{16,}=*)",
    # The password of a URL, as of a database; and a token in the place of the user.
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:(?P<value2>[^\s/]+)@(?=[^\s/@])",
    r"https?://(?P<value3>[\w-]{16,})@(?=[^\s/@])",
    r"-----BEGIN (?P<kind>[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----(?P<value4>.+?)-----END",
    r"(?i:hooks\.slack\.com/services)/(?P<value5>[\w/]{20,})",
    r"--token[ =](?P<value6>[a-z0-9]{6}\.[a-z0-9]{16})\b",
    # name=value; a word that explains something has no digit.
    rf"(?i:(?<![a-z])(?:[a-z0-9]+[_-])*(?:{_NAMED}))[\"']?\s?[=:]\s?[\"']?(?P<value7>(?=[^\s\"'&;,}}]*[0-9])[^\s\"'&;,}}]{{8,}})",
)
"""Credentials that are known by what stands before them."""

TOKEN = re.compile(rf"(?<![A-Za-z0-9])(?P<value>{'|'.join(PREFIXED.values())})|{'|'.join(IN_CONTEXT)}", re.DOTALL)
