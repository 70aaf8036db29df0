"""The listing site's addresses."""

from django.urls import path

from demo import views

app_name = "demo"
urlpatterns = [
    path("listings/", views.index, name="index"),
    path("listings/<slug:city>/<slug:kind>/", views.listing_page, name="listings"),
]
