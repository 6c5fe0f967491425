"""Proposals, evaluations and costs to and from the plain mappings of the event log; it reads and writes no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agents.protocols import Analysis, Cost, Evaluation, Proposal


def analysis_to_json(analysis: Analysis) -> list[dict[str, Any]]:
    """The findings as a list of ``{name, value, where}``."""
    return [asdict(finding) for finding in analysis.findings]


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    """All fields and the content hash, so that a reader of the log need not compute it."""
    return {
        "key": proposal.key,
        "source": proposal.source,
        "rationale": proposal.rationale,
        "citations": list(proposal.citations),
        "payload": dict(proposal.payload),
        "content_hash": proposal.content_hash,
    }


def proposal_from_json(data: Mapping[str, Any]) -> Proposal:
    """Raises KeyError, TypeError or ValueError where a field is missing or wrong."""
    proposal = Proposal(
        key=data["key"],
        source=data["source"],
        rationale=data["rationale"],
        citations=tuple(data["citations"]),
        payload=data["payload"],
    )
    if proposal.content_hash != data["content_hash"]:
        raise ValueError("the payload does not match its content hash")
    return proposal


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """All fields; the cost as a nested mapping."""
    return {
        "status": evaluation.status,
        "objective": evaluation.objective,
        "metrics": dict(evaluation.metrics),
        "feedback": evaluation.feedback,
        "cost": asdict(evaluation.cost),
    }


def evaluation_from_json(data: Mapping[str, Any]) -> Evaluation:
    """Raises KeyError, TypeError or ValueError where a field is missing or wrong."""
    return Evaluation(
        status=data["status"],
        objective=data["objective"],
        metrics=data["metrics"],
        feedback=data["feedback"],
        cost=Cost(**data["cost"]),
    )
