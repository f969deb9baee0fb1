"""What crosses between the workflow, its workers and the application."""

from pydantic import BaseModel, Field


class Album(BaseModel):
    id: str
    pictures: list[str]
    at_once: int = Field(default=50, gt=0)


class Report(BaseModel):
    album_id: str
    made: int
    failed: list[str]
