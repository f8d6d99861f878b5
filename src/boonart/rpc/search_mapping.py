"""Between searches and the messages of search.proto, there and back; see `mapping`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from boonart.dates import overlapping
from boonart.errors import InvalidFilter, InvalidQuery, InvalidRequest
from boonart.ports import CollectionInfo
from boonart.rpc import mapping
from boonart.rpc.v1 import search_pb2
from boonart.works import (
    And,
    Answer,
    Equals,
    Exists,
    FacetCount,
    FacetScope,
    Filter,
    Hit,
    Manifest,
    Mode,
    Not,
    Notice,
    OneOf,
    Or,
    Picture,
    Query,
    QueryPart,
    Range,
    StoredPicture,
    Target,
    Total,
    Words,
    Work,
)

MAX_DEPTH = 16
"""Deepest nesting of a filter; every index refuses a deeper one, and reading it recurses."""
TARGETS = {
    None: search_pb2.TARGET_UNSPECIFIED,
    Target.WORKS: search_pb2.TARGET_WORKS,
    Target.DESCRIPTIONS: search_pb2.TARGET_DESCRIPTIONS,
}
_TARGET_OF = {number: target for target, number in TARGETS.items()}
MODES = {
    Mode.VECTOR: search_pb2.MODE_VECTOR,
    Mode.KEYWORD: search_pb2.MODE_KEYWORD,
    Mode.HYBRID: search_pb2.MODE_HYBRID,
}
SCOPES = {
    FacetScope.FILTERED: search_pb2.FACET_SCOPE_FILTERED,
    FacetScope.CANDIDATES: search_pb2.FACET_SCOPE_CANDIDATES,
}
_MODE_OF = {number: mode for mode, number in MODES.items()} | {search_pb2.MODE_UNSPECIFIED: Mode.VECTOR}
_SCOPE_OF = {number: scope for scope, number in SCOPES.items()} | {
    search_pb2.FACET_SCOPE_UNSPECIFIED: FacetScope.FILTERED
}
_QUERY = Query("")

Scalar = str | int | float | bool


# --- queries ---------------------------------------------------------------------------------------------


def to_search_request(
    query: Query, picture_file: bytes = b"", part_files: Sequence[bytes] = ()
) -> search_pb2.SearchRequest:
    """A query as a message.

    Args:
        picture_file: bytes of the file that `query.picture` was decoded from: pictures travel as files here.
        part_files: the same for those parts that have a picture, in their order.
    """
    message = search_pb2.SearchRequest(
        collection=query.collection,
        target=TARGETS[query.target],
        limit=query.limit,
        candidates=query.candidates,
        rerank=mapping.to_ranker(query.rerank),
        where=to_filter(query.where) if query.where is not None else None,
        min_relevance=query.min_relevance,
        explain=query.explain,
        collections=query.collections,
        mode=MODES[query.mode],
        keyword_weight=query.keyword_weight,
        diversity=query.diversity,
        per_artist=query.per_artist,
        facets=query.facets,
        facet_scope=SCOPES[query.facet_scope],
    )
    files = iter(part_files)
    for part in query.parts:
        made = message.parts.add(weight=part.weight)
        if part.picture is not None:
            made.picture = next(files)
        elif part.work_id:
            made.work_id = part.work_id
        else:
            made.text = part.text
    if query.parts:
        return message
    if query.picture is not None:
        message.picture = picture_file
    elif query.work_id:
        message.work_id = query.work_id
    else:
        message.text = query.text
    return message


def from_search_request(message: search_pb2.SearchRequest, decode: Callable[[bytes], Picture]) -> Query:
    """A query from its message. With a picture it takes time: then not for the event loop's thread.

    Args:
        decode: a picture from the bytes of a file.

    Raises:
        InvalidQuery: an enum's number that this version does not know.
        InvalidFilter: a filter that says nothing, or nested too deep.
        PictureError: the picture cannot be used.
    """
    if message.target not in _TARGET_OF:
        raise InvalidQuery(f"target is {message.target}, which this version does not know.", field="target")
    if message.mode not in _MODE_OF:
        raise InvalidQuery(f"mode is {message.mode}, which this version does not know.", field="mode")
    if message.facet_scope not in _SCOPE_OF:
        number = message.facet_scope
        raise InvalidQuery(f"facet_scope is {number}, which this version does not know.", field="facet_scope")
    return Query(
        collection=message.collection,
        text=message.text,
        picture=decode(message.picture) if message.WhichOneof("query") == "picture" else None,
        work_id=message.work_id,
        target=_TARGET_OF[message.target],
        limit=message.limit if message.HasField("limit") else _QUERY.limit,
        candidates=message.candidates if message.HasField("candidates") else _QUERY.candidates,
        rerank=mapping.from_ranker(message.rerank, "rerank"),
        where=from_filter(message.where) if message.HasField("where") else None,
        min_relevance=message.min_relevance,
        explain=message.explain,
        parts=tuple(_from_part(part, decode) for part in message.parts),
        collections=tuple(message.collections),
        mode=_MODE_OF[message.mode],
        keyword_weight=message.keyword_weight if message.HasField("keyword_weight") else _QUERY.keyword_weight,
        diversity=message.diversity,
        per_artist=message.per_artist,
        facets=tuple(message.facets),
        facet_scope=_SCOPE_OF[message.facet_scope],
    )


def _from_part(message: search_pb2.QueryPart, decode: Callable[[bytes], Picture]) -> QueryPart:
    return QueryPart(
        text=message.text,
        picture=decode(message.picture) if message.WhichOneof("query") == "picture" else None,
        work_id=message.work_id,
        weight=message.weight if message.HasField("weight") else 1.0,
    )


def to_filter(where: Filter) -> search_pb2.Filter:
    """A filter as a message."""
    match where:
        case Equals(field, value):
            return search_pb2.Filter(equals=search_pb2.EqualsFilter(field=field, value=to_value(value)))
        case OneOf(field, values):
            one_of = search_pb2.OneOfFilter(field=field, values=[to_value(value) for value in values])
            return search_pb2.Filter(one_of=one_of)
        case Range(field, minimum, maximum):
            bounds = search_pb2.RangeFilter(field=field, minimum=minimum, maximum=maximum)
            return search_pb2.Filter(range=bounds)
        case Exists(field):
            return search_pb2.Filter(exists=search_pb2.ExistsFilter(field=field))
        case Words(field, text):
            return search_pb2.Filter(words=search_pb2.WordsFilter(field=field, text=text))
        case And(filters):
            return search_pb2.Filter(all=search_pb2.FilterGroup(filters=[to_filter(part) for part in filters]))
        case Or(filters):
            return search_pb2.Filter(any=search_pb2.FilterGroup(filters=[to_filter(part) for part in filters]))
        case Not(part):
            message = search_pb2.Filter()
            getattr(message, "not").CopyFrom(to_filter(part))
            return message


def from_filter(message: search_pb2.Filter, *, depth: int = 0) -> Filter:
    """A filter from its message.

    Raises:
        InvalidFilter: a condition or value that is missing, or nesting deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {MAX_DEPTH} deep.", field="where")
    match message.WhichOneof("condition"):
        case "equals":
            return Equals(message.equals.field, _filter_value(message.equals.value))
        case "one_of":
            return OneOf(message.one_of.field, tuple(_one_of_value(value) for value in message.one_of.values))
        case "range":
            bounds = message.range
            return Range(
                bounds.field,
                bounds.minimum if bounds.HasField("minimum") else None,
                bounds.maximum if bounds.HasField("maximum") else None,
            )
        case "exists":
            return Exists(message.exists.field)
        case "words":
            return Words(message.words.field, message.words.text)
        case "date":
            return _from_dates(message.date)
        case "all":
            return And(tuple(from_filter(part, depth=depth + 1) for part in message.all.filters))
        case "any":
            return Or(tuple(from_filter(part, depth=depth + 1) for part in message.any.filters))
        case "not":
            return Not(from_filter(getattr(message, "not"), depth=depth + 1))
    raise InvalidFilter("The filter has no condition.", hint="Leave it out for all works.", field="where")


def _from_dates(message: search_pb2.DateFilter) -> Filter:
    try:
        return overlapping(
            message.earliest if message.HasField("earliest") else None,
            message.latest if message.HasField("latest") else None,
        )
    except InvalidFilter as error:
        raise InvalidFilter(error.message, hint=error.hint, field="where") from error


def to_value(value: Scalar) -> search_pb2.Value:
    """One value of a record as a message.

    Raises:
        InvalidFilter: an integer of more than 64 bits.
    """
    if isinstance(value, bool):
        return search_pb2.Value(flag=value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InvalidFilter(f"{value} has more than 64 bits.")
        return search_pb2.Value(integer=value)
    if isinstance(value, float):
        return search_pb2.Value(number=value)
    return search_pb2.Value(text=value)


def from_value(message: search_pb2.Value) -> Scalar:
    """One value of a record from its message.

    Raises:
        InvalidRequest: it holds none.
    """
    match message.WhichOneof("value"):
        case "text":
            return message.text
        case "integer":
            return message.integer
        case "number":
            return message.number
        case "flag":
            return message.flag
    raise InvalidRequest("A value holds nothing.", hint="Set text, integer, number or flag.")


def _filter_value(message: search_pb2.Value) -> Scalar:
    try:
        return from_value(message)
    except InvalidRequest as error:
        raise InvalidFilter(error.message, hint=error.hint, field="where") from error


def _one_of_value(message: search_pb2.Value) -> str | int:
    value = _filter_value(message)
    if isinstance(value, float | bool):
        raise InvalidFilter("one_of takes texts or integers.", field="where")
    return value


# --- answers ---------------------------------------------------------------------------------------------


def to_work(work: Work) -> search_pb2.Work:
    """A work as a message."""
    return search_pb2.Work(
        id=work.id,
        title=work.title,
        artist=work.artist,
        date=work.date,
        medium=work.medium,
        description=work.description,
        subjects=work.subjects,
        source_url=work.source_url,
        credit=work.credit,
        licence=work.licence,
        image=work.image,
        extra={name: to_value(value) for name, value in work.extra.items()},
    )


def from_work(message: search_pb2.Work) -> Work:
    """A work from its message.

    Raises:
        InvalidRequest: a further field without a value.
    """
    return Work(
        id=message.id,
        title=message.title,
        artist=message.artist,
        date=message.date,
        medium=message.medium,
        description=message.description,
        subjects=tuple(message.subjects),
        source_url=message.source_url,
        credit=message.credit,
        licence=message.licence,
        image=message.image,
        extra={name: from_value(value) for name, value in message.extra.items()},
    )


def to_stored_picture(picture: StoredPicture) -> search_pb2.StoredPicture:
    """Where a picture is kept, as a message."""
    width, height = picture.size
    return search_pb2.StoredPicture(key=picture.key, width=width, height=height, colour=picture.colour)


def from_stored_picture(message: search_pb2.StoredPicture) -> StoredPicture:
    """Where a picture is kept, from its message."""
    return StoredPicture(message.key, (message.width, message.height), message.colour)


def to_hit(hit: Hit) -> search_pb2.Hit:
    """A hit as a message."""
    return search_pb2.Hit(
        rank=hit.rank,
        work=to_work(hit.work),
        score=hit.score,
        global_score=hit.global_score,
        picture=to_stored_picture(hit.picture),
        relation_score=hit.relation_score,
        relevance=hit.relevance,
        explanation=[mapping.to_word_map(word_map) for word_map in hit.explanation],
        description_composed=hit.description_composed,
        collection=hit.collection,
        matched_by=hit.matched_by,
    )


def from_hit(message: search_pb2.Hit) -> Hit:
    """A hit from its message.

    Raises:
        InvalidRequest: a map that is not (7, 7) float32, or a further field without a value.
    """
    return Hit(
        rank=message.rank,
        work=from_work(message.work),
        score=message.score,
        global_score=message.global_score,
        picture=from_stored_picture(message.picture),
        relation_score=message.relation_score if message.HasField("relation_score") else None,
        relevance=message.relevance if message.HasField("relevance") else None,
        explanation=tuple(mapping.from_word_map(word_map, "explanation") for word_map in message.explanation),
        description_composed=message.description_composed,
        collection=message.collection,
        matched_by=tuple(message.matched_by),
    )


def to_search_response(answer: Answer, *, collection: str = "", next_cursor: str = "") -> search_pb2.SearchResponse:
    """An answer as a message.

    Args:
        collection: what was searched; "" for several.
        next_cursor: for the next page, or "".
    """
    return search_pb2.SearchResponse(
        hits=[to_hit(hit) for hit in answer.hits],
        target=TARGETS[answer.target],
        ranker=mapping.to_ranker(answer.ranker),
        stages=dict(answer.stages),
        degraded=dict(answer.degraded),
        models=dict(answer.models),
        facets=to_facets(answer.facets),
        next_cursor=next_cursor,
        collection=collection,
        total=_to_total(answer.total) if answer.total is not None else None,
        warnings=[search_pb2.Warning(field=notice.field, message=notice.message) for notice in answer.warnings],
        index_generation=answer.index_generation,
    )


def from_search_response(message: search_pb2.SearchResponse) -> Answer:
    """An answer from its message.

    Raises:
        InvalidRequest: it does not say what was searched, or a hit cannot be read.
    """
    target = _TARGET_OF.get(message.target)
    if target is None:
        raise InvalidRequest("The answer does not say what was searched.", field="target")
    return Answer(
        hits=tuple(from_hit(hit) for hit in message.hits),
        target=target,
        ranker=mapping.from_ranker(message.ranker, "ranker"),
        stages=dict(message.stages),
        degraded=dict(message.degraded),
        models=dict(message.models),
        facets=from_facets(message.facets),
        total=_from_total(message.total) if message.HasField("total") else None,
        warnings=tuple(Notice(notice.field, notice.message) for notice in message.warnings),
        index_generation=message.index_generation,
    )


def _to_total(total: Total) -> search_pb2.Total:
    relation = search_pb2.TOTAL_RELATION_EXACT if total.exact else search_pb2.TOTAL_RELATION_AT_LEAST
    return search_pb2.Total(value=total.value, relation=relation)


def _from_total(message: search_pb2.Total) -> Total:
    # A relation that this version does not know promises nothing more than "at least".
    return Total(message.value, message.relation == search_pb2.TOTAL_RELATION_EXACT)


def to_facets(facets: Mapping[str, Sequence[FacetCount]]) -> list[search_pb2.Facet]:
    """Counted values by field, as messages."""
    return [
        search_pb2.Facet(
            field=name,
            counts=[search_pb2.FacetCount(value=to_value(item.value), count=item.count) for item in counts],
        )
        for name, counts in facets.items()
    ]


def from_facets(messages: Iterable[search_pb2.Facet]) -> dict[str, tuple[FacetCount, ...]]:
    """Counted values by field, from their messages.

    Raises:
        InvalidRequest: a value that holds nothing.
    """
    return {facet.field: tuple(_from_count(count) for count in facet.counts) for facet in messages}


def _from_count(message: search_pb2.FacetCount) -> FacetCount:
    value = from_value(message.value)
    return FacetCount(int(value) if isinstance(value, float) else value, message.count)


def to_collection(info: CollectionInfo) -> search_pb2.Collection:
    """A collection as a message."""
    return search_pb2.Collection(
        name=info.name,
        version=info.version,
        count=info.count,
        size_bytes=info.size_bytes,
        encoder_id=info.manifest.encoder_id,
        reranker_id=info.manifest.reranker_id,
        global_size=info.manifest.global_size,
        embed_size=info.manifest.embed_size,
        schema_version=info.manifest.schema_version,
    )


def from_collection(message: search_pb2.Collection) -> CollectionInfo:
    """A collection from its message."""
    manifest = Manifest(
        encoder_id=message.encoder_id,
        global_size=message.global_size,
        reranker_id=message.reranker_id,
        embed_size=message.embed_size,
        schema_version=message.schema_version,
    )
    return CollectionInfo(message.name, message.version, message.count, manifest, message.size_bytes)
