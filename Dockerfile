# The command in a container:
#
#   docker build -t landcover .                     # torch with CUDA, as its Linux wheels are
#   docker build -t landcover --build-arg TORCH_INDEX=INDEX_OF_CPU_WHEELS .   # much smaller
#   docker run --rm -v "$PWD:/data" landcover map my_city.yaml --run runs/my_city
#   docker run --rm --gpus all -v "$PWD:/data" landcover map my_city.yaml --run runs/my_city
#
# CUDA's libraries come with torch: only the driver has to be the host's.

FROM python:3.12-slim AS build
ARG TORCH_INDEX=""
# Version of the package, for a build context without git.
ARG VERSION="0.2.0"
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_LANDCOVER_PNP=${VERSION} PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/landcover
ENV PATH="/opt/landcover/bin:${PATH}"
WORKDIR /src
# Packages before the code: a changed line does not fetch them again.
COPY constraints.txt ./
RUN if [ -n "${TORCH_INDEX}" ]; then \
        pip install --constraint constraints.txt --index-url "${TORCH_INDEX}" torch; \
    else \
        pip install --constraint constraints.txt torch; \
    fi
COPY pyproject.toml README.md LICENSE ./
COPY landcover_pnp landcover_pnp
RUN pip install --constraint constraints.txt '.[fetch,web]'

FROM python:3.12-slim
# rasterio's wheels take the system's expat; Debian keeps only its newest version to be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 mapper
COPY --from=build /opt/landcover /opt/landcover
ENV PATH="/opt/landcover/bin:${PATH}" PYTHONUNBUFFERED=1
USER 1000
WORKDIR /data
ENTRYPOINT ["landcover"]
CMD ["--help"]
