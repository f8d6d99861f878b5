"""What one step of training computes, for each head."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn import functional

from boonart.training.vitr_batches import PairBatch
from boonart.training.vitr_losses import contrastive, listwise, lseh, scaled_likeness
from boonart.vitr.model import RelationNetwork
from boonart.vitr.role import RoleHead
from boonart.vitr.role_views import BatchCosines, RegionView, WordView

_OUT = -1e4
_BLOCKS = 4
"""In how many blocks a step's pairs pass through the role tokens, by the length of their sentences."""


class Head(StrEnum):
    """Which head a run trains."""

    ROLE = "role"
    VITR = "vitr"


class Loss(StrEnum):
    """How the published head's score matrix is judged."""

    CONTRASTIVE = "contrastive"
    LSEH = "lseh"


@dataclass(frozen=True, slots=True)
class StepOptions:
    """Options of a step, each a line of the ablation.

    Attributes:
        hard_negatives: for each text and each picture, the batch's most alike that the role tokens are held
            against, beside twins and exchanged sentences.
        grounding: weight of the contrastive loss on the grounding scores.
        false_texts: hold exchanged sentences against their pictures.
        lists: weight of the loss on lists of candidates, by the role tokens beside the grounding score.
        twins: weight of the loss on twins, by the role tokens alone.
        exchanged: weight of the same loss on exchanged sentences of pictures without a twin.
        centring: weight of what keeps role scores about zero: the mean of a true pair and its counterpart, and
            the score of pairs that have nothing to do with each other. Else each text and each picture gets an
            offset of its own, which says nothing and hides what the score says.
        token_dropout: of the encoder's features.
        word_dropout, region_dropout: share of words and of regions that are blanked.
        score_scale: what a grounding score is multiplied with to be a logit.
        listed_scale: the same where it stands in lists beside the role tokens.
        global_scale: what the cosine of the global vectors is multiplied with to stand beside it in lists: the role
            tokens then learn what it gets wrong. 0 where it fits the training pictures too well to get much wrong.
        loss: of the published head.
    """

    hard_negatives: int = 4
    grounding: float = 1.0
    false_texts: bool = True
    lists: float = 1.0
    twins: float = 1.0
    exchanged: float = 0.0
    centring: float = 0.0
    token_dropout: float = 0.1
    word_dropout: float = 0.1
    region_dropout: float = 0.1
    score_scale: float = 20.0
    listed_scale: float = 20.0
    global_scale: float = 0.0
    loss: Loss = Loss.CONTRASTIVE


def role_loss(network: RelationNetwork, batch: PairBatch, options: StepOptions) -> dict[str, Tensor]:
    """Losses of the role-aware head: "grounding", "role", "twins", "exchanged", "centring"; their sum is minimised.

    Twins have a loss of their own, in which nothing but the relation counts: in one list with all the other
    negatives the head needs many times as long to find it.
    """
    head = network.role
    assert head is not None
    size = len(batch)
    regions, words, mask = _inputs(network, batch, options)
    region_view, word_view = head.view_regions(regions), head.view_words(words, mask)
    scores, cosines = head.grounding_matrix(region_view, word_view)
    matrix = options.score_scale * scores.float()  # (B + F, B)
    false = matrix[size:] if options.false_texts else None
    losses = {}
    if options.grounding:
        losses["grounding"] = options.grounding * contrastive(
            matrix[:size], batch.same, false, batch.false_owners if options.false_texts else None
        )
    cosine = options.global_scale * (batch.texts.global_vectors @ batch.image_globals.T)  # (B + F, B)
    alike = options.listed_scale * scores[:size].float().detach() + cosine[:size]
    texts, pictures, valid, by_picture = candidate_pairs(alike, batch, options)
    chosen = valid.flatten().nonzero().squeeze(1)
    text_rows, picture_rows = texts.flatten()[chosen], pictures.flatten()[chosen]
    role, grounding = _judge(head, cosines, region_view, word_view, text_rows, picture_rows)
    if options.lists:
        given = options.listed_scale * grounding.float().detach() + cosine[text_rows, picture_rows]
        total = role.float() + given
        logits = _lists(total, chosen, valid)
        columns = torch.arange(valid.shape[1], device=valid.device)
        losses["role"] = (0.5 * options.lists) * (
            listwise(logits, valid & ~by_picture.unsqueeze(0)) + listwise(logits, valid & (by_picture | (columns == 0)))
        )
    alone = _lists(role.float(), chosen, valid)
    if options.twins:
        losses["twins"] = options.twins * _twin_loss(alone, batch.twins >= 0, by_picture)
    if options.exchanged:
        there = valid[:, -1]
        wrong = functional.softplus(alone[:, -1] - alone[:, 0]) * there
        losses["exchanged"] = options.exchanged * wrong.sum() / there.sum().clamp(min=1)
    if options.centring:
        losses["centring"] = options.centring * _offsets(alone, valid, by_picture)
    return losses


def _judge(
    head: RoleHead, cosines: BatchCosines, regions: RegionView, words: WordView, texts: Tensor, pictures: Tensor
) -> tuple[Tensor, Tensor]:
    """Role logits and grounding scores of P pairs, (P,) each: short sentences first, for padding costs time too.

    Args:
        texts, pictures: (P,) rows.
    """
    with_unit = head.similarity is not None
    lengths = words.mask.sum(dim=1)[texts]
    order = lengths.argsort(stable=True)
    judged = []
    for part in order.chunk(_BLOCKS):
        longest = int(lengths[part[-1]])
        judged.append(
            head.judge(
                cosines.first(longest).pairs(texts[part], pictures[part]),
                regions.rows(pictures[part], with_unit=with_unit),
                words.first(longest).rows(texts[part], with_unit=with_unit),
            )
        )
    back = order.argsort()
    role, grounding = (torch.cat(scores)[back] for scores in zip(*judged, strict=True))
    return role, grounding


def _lists(values: Tensor, chosen: Tensor, valid: Tensor) -> Tensor:
    """Values of the chosen pairs in their places, (B, C)."""
    return torch.full((valid.numel(),), _OUT, device=values.device).index_put((chosen,), values).view(valid.shape)


def _twin_loss(role: Tensor, has_twin: Tensor, by_picture: Tensor) -> Tensor:
    """Each true pair against its text with the twin's picture and its picture with the twin's text."""
    first = int(by_picture.nonzero()[0, 0])
    true, other_picture, other_text = role[:, 0], role[:, first - 1], role[:, -2]
    wrong = functional.softplus(other_picture - true) + functional.softplus(other_text - true)
    return 0.5 * (wrong * has_twin).sum() / has_twin.sum().clamp(min=1)


def _offsets(role: Tensor, valid: Tensor, by_picture: Tensor) -> Tensor:
    """How far from zero scores lie: those of strangers, and the means of a true pair and each counterpart."""
    first = int(by_picture.nonzero()[0, 0])
    counterpart = torch.zeros_like(by_picture)
    counterpart[[first - 1, -2, -1]] = True
    middle = torch.where(counterpart, 0.5 * (role + role[:, :1]), role)
    counted = valid.clone()
    counted[:, 0] = False
    return middle.masked_fill(~counted, 0.0).square().sum() / counted.sum().clamp(min=1)


def candidate_pairs(matrix: Tensor, batch: PairBatch, options: StepOptions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Which pairs the role tokens judge.

    Args:
        matrix: (B, B) how alike text i and picture j are.

    Returns:
        Rows of texts and of pictures and whether they are a pair, (B, C) each; and (C,) bool, True for the columns
        that hold other texts for row's picture, False for those that hold other pictures for row's text. The first
        column is the true pair.
    """
    size = len(batch)
    own = torch.arange(size, device=matrix.device)
    twins = batch.twins
    apart = batch.same.clone()
    has_twin = twins >= 0
    apart[own[has_twin], twins[has_twin]] = True  # twins have a column of their own
    safe_twins = twins.clamp(min=0)
    twin_picture = has_twin & ~batch.same[own, safe_twins]  # "two cows" may be true of both
    twin_text = has_twin & ~batch.same[safe_twins, own]
    noise = -torch.empty_like(matrix).exponential_().log()  # so that not always the same are the hardest
    ranked = (matrix + noise).masked_fill(apart, _OUT)
    count = min(options.hard_negatives, size - 1)
    other_pictures = ranked.topk(count, dim=1)
    other_texts = ranked.T.topk(count, dim=1)
    false_text = torch.full((size,), -1, device=matrix.device)
    if options.false_texts:
        false_text[batch.false_owners] = size + torch.arange(len(batch.false_owners), device=matrix.device)
    column = own.unsqueeze(1)
    many = column.expand(-1, count)
    twin_column, false_column = safe_twins.unsqueeze(1), false_text.clamp(min=0).unsqueeze(1)
    texts = torch.cat([column, many, column, other_texts.indices, twin_column, false_column], dim=1)
    pictures = torch.cat([column, other_pictures.indices, twin_column, many, column, column], dim=1)
    valid = torch.cat(
        [
            torch.ones_like(column, dtype=torch.bool),
            other_pictures.values > _OUT / 2,
            twin_picture.unsqueeze(1),
            other_texts.values > _OUT / 2,
            twin_text.unsqueeze(1),
            # A twin's sentence is already there as the twin's own.
            ((false_text >= 0) & ~has_twin).unsqueeze(1),
        ],
        dim=1,
    )
    by_picture = torch.zeros(texts.shape[1], dtype=torch.bool, device=matrix.device)
    by_picture[count + 2 :] = True
    return texts, pictures, valid, by_picture


def vitr_loss(
    network: RelationNetwork,
    batch: PairBatch,
    options: StepOptions,
    *,
    with_global: bool,
) -> dict[str, Tensor]:
    """Loss of the published head over all pairs of the batch.

    Args:
        with_global: the global similarity takes part.
    """
    size = len(batch)
    regions, words, mask = _inputs(network, batch, options)
    for relational_filter in network.filters:
        regions = relational_filter(regions)
    rows, columns = torch.meshgrid(torch.arange(len(words)), torch.arange(size), indexing="ij")
    own = torch.nn.functional.one_hot(batch.false_owners, size).bool()
    wanted = torch.cat([torch.ones((size, size), dtype=torch.bool), own.cpu()])
    if not options.false_texts:
        wanted[size:] = False
    text_rows, picture_rows = rows[wanted].to(words.device), columns[wanted].to(words.device)
    logits = torch.full((len(words), size), _OUT, device=words.device)
    scored = network.vitr(
        regions[picture_rows],
        words[text_rows],
        mask[text_rows],
        batch.image_globals[picture_rows],
        batch.texts.global_vectors[text_rows],
        with_global=with_global,
    ).float()
    logits = logits.index_put((text_rows, picture_rows), scored)
    if options.loss is Loss.LSEH:
        return {"lseh": lseh(torch.sigmoid(logits[:size]), scaled_likeness(batch.descriptions), batch.same)}
    return {"vitr": contrastive(logits[:size], batch.same, logits[size:], batch.false_owners)}


def _inputs(network: RelationNetwork, batch: PairBatch, options: StepOptions) -> tuple[Tensor, Tensor, Tensor]:
    """Projected regions (B, R, E), words (B + F, T, E) and their mask, with what is blanked blanked."""
    tokens, text_tokens, mask = batch.image_tokens, batch.texts.tokens, batch.texts.mask
    tokens = functional.dropout(tokens, options.token_dropout, network.training)
    text_tokens = functional.dropout(text_tokens, options.token_dropout, network.training)
    if network.training and options.region_dropout:
        kept = torch.rand(tokens.shape[:2], device=tokens.device) >= options.region_dropout * torch.rand(
            (len(tokens), 1), device=tokens.device
        )
        tokens = tokens * kept.unsqueeze(2)
    if network.training and options.word_dropout:
        kept = torch.rand(mask.shape, device=mask.device) >= options.word_dropout
        text_tokens = text_tokens * kept.unsqueeze(2)
    return network.project_regions(tokens), network.project_words(text_tokens), mask
