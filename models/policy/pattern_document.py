"""The part of the policy document that says from when on a pattern in a client's rhythm is one."""

from typing import Annotated, Final

from pydantic import BaseModel, Field

from models.patterns import PatternRules

_R: Final = PatternRules()
_Least = Annotated[int, Field(ge=1, le=1_000)]
_Ratio = Annotated[float, Field(ge=1, le=100)]
_Part = Annotated[float, Field(ge=0, le=1)]
_Units = Annotated[int, Field(ge=0, le=1_000_000_000)]


class PatternsSection(BaseModel, frozen=True, extra="forbid"):
    """From when on a pattern is one: bursts, gaps, invoice sizes, methods, declines."""

    burst_days: Annotated[int, Field(ge=2, le=28)] = Field(default=_R.burst_days, description="Length of a burst.")
    burst_payments: _Least = Field(default=_R.burst_payments, description="Least payments in it.")
    burst_ratio: _Ratio = Field(default=_R.burst_ratio, description="Least times the client's own pace.")
    burst_share: _Part = Field(default=_R.burst_share, description="Average at most this share of the client's usual payment;")
    burst_units: _Units = Field(default=_R.burst_units, description="without a history, at most so many currency units.")
    gap_count: _Least = Field(default=_R.gap_count, description="Gaps known before a rhythm is one.")
    gap_ratio: _Ratio = Field(default=_R.gap_ratio, description="Wide from so many times the usual gap on;")
    gap_least_days: _Least = Field(default=_R.gap_least_days, description="and from so many days beyond it on.")
    gap_lapsed_days: _Least = Field(default=_R.gap_lapsed_days, description="Longer than this is no gap: the client has left.")
    micro_invoices: _Least = Field(default=_R.micro_invoices, description="Least invoices in 13 weeks;")
    micro_units: _Units = Field(default=_R.micro_units, description="their average at most.")
    bundle_lines: _Least = Field(default=_R.bundle_lines, description="Least items on an average invoice;")
    bundle_invoices: _Least = Field(default=_R.bundle_invoices, description="at most so many invoices in 13 weeks.")
    shift_run: _Least = Field(default=_R.shift_run, description="Least payments in a row by a new method;")
    shift_share: _Part = Field(default=_R.shift_share, description="its share before at most.")
    declines: _Least = Field(default=_R.declines, description="Least declined attempts since money last came;")
    decline_days: _Least = Field(default=_R.decline_days, description="within so many days.")
